"""Where copies of components fit: accelerators, CPU cores and memory of an instance, as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from neuron_cdk.catalog import instances as catalog

_MIB = 1024
_VCPUS = {"medium": 1, "large": 2, "xlarge": 4}
_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8, "t": 4}


@dataclass(frozen=True, slots=True)
class Resources:
    """What an instance has, or a copy needs. What one accelerator is on Neuron is not documented: a NeuronCore here."""

    accelerators: float
    cpus: float
    memory_mib: float

    def holds(self, needed: Resources) -> bool:
        return (
            needed.accelerators <= self.accelerators
            and needed.cpus <= self.cpus
            and needed.memory_mib <= self.memory_mib
        )

    def without(self, taken: Iterable[Resources]) -> Resources:
        left = self
        for each in taken:
            left = Resources(
                left.accelerators - each.accelerators, left.cpus - each.cpus, left.memory_mib - each.memory_mib
            )
        return left


def needed(specification: dict[str, Any]) -> Resources:
    """What one copy of a component takes, by its ComputeResourceRequirements."""
    wanted = specification.get("ComputeResourceRequirements", {})
    return Resources(
        wanted.get("NumberOfAcceleratorDevicesRequired", 0.0),
        wanted.get("NumberOfCpuCoresRequired", 0.0),
        wanted.get("MinMemoryRequiredInMb", 0.0),
    )


@cache
def of_type(instance_type: str) -> Resources:
    """All of an instance: by the catalogue, or for a type without a chip by its size's name."""
    name = instance_type.removeprefix("ml.")
    try:
        known = catalog.get(name)
    except catalog.UnknownInstanceType:
        family, _, size = name.partition(".")
        times = size.removesuffix("xlarge")
        vcpus = _VCPUS.get(size) or (4 * int(times) if times.isdigit() else 2)
        return Resources(0, vcpus, vcpus * _GIB_PER_VCPU.get(family[0], 4) * _MIB)
    return Resources(max(known.accelerators, known.neuron_cores), known.vcpu, known.memory_gib * _MIB)
