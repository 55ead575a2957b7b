"""Instance types: that they exist, are offered where they are wanted, and go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from neuron_cdk.catalog import instances, regions
from neuron_cdk.catalog.instances import InstanceType

from ..deployment import Compile, Deployment, EfaLayout, Fleet
from ..findings import Problem
from ..source import Pointer
from ..zones import zones

_PREFIX = "ml."


def instance(name: str) -> InstanceType | None:
    """The type behind an EC2 or SageMaker name; None for one that another check refuses."""
    try:
        return instances.get(name.removeprefix(_PREFIX))
    except instances.UnknownInstanceType:
        return None


def efa_layout(fleet: Fleet) -> EfaLayout:
    """What the file asks for, or what the catalogue has for the fleet's first type."""
    if fleet.efa:
        return fleet.efa.layout
    first = instance(fleet.instance_types[0])
    return instances.default_efa_layout(first) if first else "none"


def fits_target(at: Pointer, names: Sequence[str], model: str, wanted: Compile) -> Iterator[Problem]:
    """Whether instances run what a model was compiled for."""
    for index, name in enumerate(names):
        host = instance(name)
        if host and host.target != wanted.target:
            able = [each.name for each in instances.all_types() if each.target == wanted.target]
            prefix = _PREFIX if name.startswith(_PREFIX) else ""
            yield Problem(
                "NCDK-TYPE-008",
                (*at, index),
                f"model {model} is compiled for {wanted.target}, and {name} runs {host.target or 'no Neuron program'}",
                some([prefix + each for each in able]),
                f"compile {model} for {host.target}, or take another type" if host.target else "take another type",
            )


def holds_model(at: Pointer, names: Sequence[str], model: str, wanted: Compile) -> Iterator[Problem]:
    """Whether instances have the cores that one copy of a model is spread over."""
    for index, name in enumerate(names):
        host = instance(name)
        if host and host.target == wanted.target and 1 < wanted.tensor_parallel > host.neuron_cores:
            able = [
                each.name
                for each in instances.all_types()
                if each.target == wanted.target and each.neuron_cores >= wanted.tensor_parallel
            ]
            prefix = _PREFIX if name.startswith(_PREFIX) else ""
            yield Problem(
                "NCDK-TYPE-011",
                (*at, index),
                f"{name} has {host.neuron_cores} NeuronCores, and model {model} needs {wanted.tensor_parallel}",
                some([prefix + each for each in able]),
                "take a larger type, or lower tensor_parallel",
            )


def repeated(at: Pointer, entries: Sequence[object]) -> Iterator[Problem]:
    for index, entry in enumerate(entries):
        if entry in entries[:index]:
            yield Problem("NCDK-FIELD-008", (*at, index), "this is in the list already", fix="remove it", given=entry)


def ec2_types_exist(deployment: Deployment) -> Iterator[Problem]:
    region = deployment.environment.region
    for pointer, name in _ec2_types(deployment):
        known = instance(name)
        if name.startswith(_PREFIX):
            bare = name.removeprefix(_PREFIX)
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
                "a type of the families inf1, inf2, trn1, trn1n, trn2, trn2u",
            )
        elif regions.offers(region, name) is False:
            yield Problem(
                "NCDK-TYPE-004",
                pointer,
                f"{name} is not offered in {region}",
                f"offered in {some(_regions_offering(name))}" if _regions_offering(name) else "",
                "take another region or type",
            )


def ec2_types_offered_in_zone(deployment: Deployment) -> Iterator[Problem]:
    """In the zone a fleet names, or else in at least one of the network's."""
    region = deployment.environment.region
    try:
        everywhere = zones(deployment)
    except (ValueError, regions.UnknownRegion):
        return  # another check's subject
    parts = [(("fleets", name), fleet.zone) for name, fleet in deployment.fleets.items()]
    parts += [(("training_clusters", name), cluster.zone) for name, cluster in deployment.training_clusters.items()]
    pinned = dict(parts)
    for pointer, name in _ec2_types(deployment):
        offering = regions.zones_offering(region, name)
        zone = pinned[(str(pointer[0]), str(pointer[1]))]
        candidates = (zone,) if zone else everywhere
        if any(candidate.startswith(region) for candidate in candidates):
            continue  # a zone name, not an id: nobody knows
        if offering and not set(offering).intersection(candidates):
            yield Problem(
                "NCDK-TYPE-005",
                (*pointer[:2], "zone") if zone else pointer,
                f"{name} is not offered in {', '.join(candidates)}",
                ", ".join(offering),
                "take a zone that offers it" if zone else "list a zone that offers it in network.availability_zones",
            )


def fleets_are_of_one_kind(deployment: Deployment) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        at = ("fleets", name, "instance_types")
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


def endpoint_types_exist(deployment: Deployment) -> Iterator[Problem]:
    region = deployment.environment.region
    for endpoint_name, endpoint in deployment.endpoints.items():
        at = ("endpoints", endpoint_name, "instance_types")
        yield from repeated(at, endpoint.instance_types)
        for index, name in enumerate(endpoint.instance_types):
            pointer = (*at, index)
            known = instance(name)
            if not name.startswith(_PREFIX):
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
                yield Problem(
                    "NCDK-TYPE-009", pointer, f"SageMaker has no endpoints on {known.name}", _endpoint_types(known)
                )
            elif not regions.sagemaker_offers(region, name, "endpoint"):
                yield Problem(
                    "NCDK-TYPE-010",
                    pointer,
                    f"SageMaker does not offer {name} for endpoints in {region}",
                    fix="take another region or type",
                )


def _ec2_types(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    for name, fleet in deployment.fleets.items():
        for index, type_name in enumerate(fleet.instance_types):
            yield ("fleets", name, "instance_types", index), type_name
    for name, cluster in deployment.training_clusters.items():
        yield ("training_clusters", name, "instance_type"), cluster.instance_type


def _unknown(pointer: Pointer, name: str) -> Problem:
    try:
        instances.get(name.removeprefix(_PREFIX)[:64])
        nearest = None
    except instances.UnknownInstanceType as unknown:
        nearest = unknown.nearest
    if nearest and name.startswith(_PREFIX):
        nearest = _PREFIX + nearest
    hint = f"; did you mean {nearest}?" if nearest else ""
    fix = "neuron-cdk schema lists those there are"
    return Problem("NCDK-TYPE-001", pointer, f"there is no such instance type{hint}", fix=fix)


def _regions_offering(name: str) -> list[str]:
    return [region.name for region in regions.all_regions() if regions.offers(region.name, name)]


def _endpoint_types(like: InstanceType) -> str:
    alike = [each for each in instances.all_types() if each.target == like.target]
    return some([each.sagemaker_name for each in alike if each.sagemaker_name])


def some(names: Sequence[str]) -> str:
    """The first few of a list, for people to read."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
