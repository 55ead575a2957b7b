"""The independent sources that the catalogue is compared with: what moto and botocore carry of AWS's own answers."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


@cache
def _moto(path: str) -> Any:
    spec = find_spec("moto")
    assert spec is not None
    assert spec.submodule_search_locations
    return json.loads(gzip.decompress((Path(spec.submodule_search_locations[0]) / path).read_bytes()))


@pytest.fixture(scope="session")
def ec2_types() -> dict[str, Any]:
    """DescribeInstanceTypes by type name, as moto carries it."""
    types: dict[str, Any] = _moto("ec2/resources/instance_types.json.gz")
    return types


@pytest.fixture(scope="session")
def ec2_zones() -> dict[str, dict[str, set[str]]]:
    """DescribeInstanceTypeOfferings by zone id, as moto carries it: region -> type -> zone ids."""
    spec = find_spec("moto")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "ec2/resources/instance_type_offerings/availability-zone-id"
    offered: dict[str, dict[str, set[str]]] = {}
    for file in folder.glob("*.json.gz"):
        types = offered.setdefault(file.name.removesuffix(".json.gz"), {})
        for offer in json.loads(gzip.decompress(file.read_bytes())):
            types.setdefault(offer["InstanceType"], set()).add(offer["Location"])
    return offered


@pytest.fixture(scope="session")
def sagemaker_enums() -> dict[str, set[str]]:
    """The ml. names that the SageMaker API knows, by service."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    shapes = {
        "endpoint": "ProductionVariantInstanceType",
        "processing": "ProcessingInstanceType",
        "training": "TrainingInstanceType",
        "cluster": "ClusterInstanceType",
    }
    return {service: set(model.shape_for(shape).enum) for service, shape in shapes.items()}
