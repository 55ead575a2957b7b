"""Instance types: that they exist, are offered in the region, and are alike within a fleet."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog import instances, regions
from neuron_cdk.catalog.instances import InstanceType

from ..deployment import Deployment, Fleet
from ..endpoint import Endpoint
from ..findings import Problem
from ..hosts import SAGEMAKER, instance
from ..source import Pointer
from .common import Surroundings, listed_types, repeated, some


def fleet_types_exist(fleet: Fleet, around: Surroundings) -> Iterator[Problem]:
    for index, name in enumerate(fleet.instance_types):
        yield from _ec2_type(("instance_types", index), name, around.region)


def cluster_types_exist(deployment: Deployment) -> Iterator[Problem]:
    for name, cluster in deployment.training_clusters.items():
        at = ("training_clusters", name, "instance_type")
        yield from _ec2_type(at, cluster.instance_type, deployment.environment.region)


def fleet_types_are_alike(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    at = ("instance_types",)
    yield from repeated(at, fleet.instance_types)
    first = instance(fleet.instance_types[0])
    for index, other_name in enumerate(fleet.instance_types):
        other = instance(other_name)
        if first and other and other.accelerator != first.accelerator:
            yield Problem(
                "NCDK-TYPE-007",
                (*at, index),
                f"{other.name} and {first.name} have different accelerators",
                f"types with {first.accelerator.name}" if first.accelerator else "",
                "make it a fleet of its own",
            )


def endpoint_types_exist(endpoint: Endpoint, around: Surroundings) -> Iterator[Problem]:
    for at, names in listed_types(endpoint):
        yield from repeated(at, names)
        for index, name in enumerate(names):
            yield from _ml_type((*at, index), name, around.region)


def ec2_types(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    """Every EC2 instance type with the pointer to it."""
    for name, fleet in deployment.fleets.items():
        for index, type_name in enumerate(fleet.instance_types):
            yield ("fleets", name, "instance_types", index), type_name
    for name, cluster in deployment.training_clusters.items():
        yield ("training_clusters", name, "instance_type"), cluster.instance_type


def _ec2_type(pointer: Pointer, name: str, region: str | None) -> Iterator[Problem]:
    known = instance(name)
    if name.startswith(SAGEMAKER):
        bare = name.removeprefix(SAGEMAKER)
        yield Problem(
            "NCDK-TYPE-002", pointer, "this is SageMaker's name; EC2 has its own", "an EC2 name", f"write {bare}"
        )
    elif known is None:
        yield _unknown(pointer, name)
    elif known.neuron_cores == 0:
        yield Problem(
            "NCDK-TYPE-006",
            pointer,
            f"{name} has no Neuron device",
            "a type of the families " + ", ".join(_neuron_families()),
        )
    elif region and regions.offers(region, name) is False:
        yield Problem(
            "NCDK-TYPE-004",
            pointer,
            f"{name} is not offered in {region}",
            _regions_offering(name),
            "take another region or type",
        )


def _ml_type(pointer: Pointer, name: str, region: str | None) -> Iterator[Problem]:
    known = instance(name)
    if not name.startswith(SAGEMAKER):
        yield Problem(
            "NCDK-TYPE-003",
            pointer,
            "this is EC2's name; SageMaker's starts with ml.",
            "a SageMaker name",
            f"write ml.{name}" if known else "",
        )
    elif known is None:
        yield _unknown(pointer, name)
    elif known.sagemaker_name is None:
        yield Problem("NCDK-TYPE-009", pointer, f"SageMaker has no endpoints on {known.name}", _endpoint_types(known))
    elif region and not regions.sagemaker_offers(region, name, "endpoint"):
        yield Problem(
            "NCDK-TYPE-010",
            pointer,
            f"SageMaker does not offer {name} for endpoints in {region}",
            fix="take another region or type",
        )


def _unknown(pointer: Pointer, name: str) -> Problem:
    try:
        instances.get(name.removeprefix(SAGEMAKER)[:64])
        nearest = None
    except instances.UnknownInstanceType as unknown:
        nearest = unknown.nearest
    if nearest and name.startswith(SAGEMAKER):
        nearest = SAGEMAKER + nearest
    hint = f"; did you mean {nearest}?" if nearest else ""
    fix = "neuron-cdk schema lists those there are"
    return Problem("NCDK-TYPE-001", pointer, f"there is no such instance type{hint}", fix=fix)


def _neuron_families() -> list[str]:
    return list(dict.fromkeys(each.family for each in instances.all_types() if each.neuron_cores))


def _regions_offering(name: str) -> str:
    return some([region.name for region in regions.all_regions() if regions.offers(region.name, name)])


def _endpoint_types(like: InstanceType) -> str:
    alike = [each for each in instances.all_types() if each.target == like.target]
    return some([each.sagemaker_name for each in alike if each.sagemaker_name])
