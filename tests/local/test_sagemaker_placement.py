"""What an instance has for copies of components: by the catalogue, or by its size's name."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def placement() -> ModuleType:
    """Pure: it needs nothing of the server's environment."""
    import neuron_cdk.local.server.sagemaker.placement as placement

    return placement


@pytest.mark.parametrize(
    ("instance_type", "has"),
    [
        ("ml.inf2.xlarge", (2, 4, 16)),  # one chip of two NeuronCores
        ("ml.inf2.24xlarge", (12, 96, 384)),
        ("ml.m5.large", (0, 2, 8)),
        ("ml.m5.xlarge", (0, 4, 16)),
        ("ml.c5.4xlarge", (0, 16, 32)),
        ("ml.r5.12xlarge", (0, 48, 384)),
    ],
)
def test_an_instance_has_what_its_type_says(
    placement: ModuleType, instance_type: str, has: tuple[float, float, float]
) -> None:
    accelerators, cpus, gib = has

    assert placement.of_type(instance_type) == placement.Resources(accelerators, cpus, gib * 1024)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"MinMemoryRequiredInMb": 4096}, True),
        ({"MinMemoryRequiredInMb": 4097}, False),
        ({"MinMemoryRequiredInMb": 1, "NumberOfCpuCoresRequired": 1.5}, False),
        ({"MinMemoryRequiredInMb": 1, "NumberOfAcceleratorDevicesRequired": 1}, True),
        ({"MinMemoryRequiredInMb": 1, "NumberOfAcceleratorDevicesRequired": 2}, False),
    ],
)
def test_a_copy_fits_where_everything_it_needs_is_left(
    placement: ModuleType, wanted: dict[str, Any], fits: bool
) -> None:
    left = placement.Resources(2, 2, 8192).without([placement.Resources(1, 1, 4096)])

    assert left.holds(placement.needed({"ComputeResourceRequirements": wanted})) is fits
