"""What several rules ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from neuron_cdk.catalog import instances, regions

from ..deployment import Compile, Deployment, EfaLayout, Fleet
from ..endpoint import Endpoint, Shadow, VariantSpec
from ..endpoints import Variant
from ..findings import Problem
from ..hosts import SAGEMAKER, instance
from ..source import Pointer
from ..zones import zones


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around a fleet or an endpoint; None for what is not known, and then nothing is said about it."""

    region: str | None = None
    account: str | None = None
    zones: tuple[str, ...] | None = None
    """The network's."""
    model: Compile | None = None
    """How the fleet's model is compiled."""
    models: Mapping[str, Compile] = field(default_factory=dict)
    """How the endpoint's models are compiled, by name."""
    sizes_gb: Mapping[str, float | None] = field(default_factory=dict)
    """The endpoint's models on a disk, by name."""

    @property
    def place(self) -> str:
        """What is known of account and region, for people to read."""
        return ", ".join(filter(None, [self.account and f"account {self.account}", self.region]))


NOTHING_KNOWN = Surroundings()


def other_place(arn: str, around: Surroundings) -> str | None:
    """Where an ARN leads when that is not the account, region and partition of the surroundings."""
    _, partition, _, region, account = arn.split(":")[:5]
    if around.region not in (None, region) or around.account not in (None, account):
        return Surroundings(region=region, account=account).place
    return None if partition == _partition(region, partition) else f"partition {partition}"


def _partition(region: str, otherwise: str) -> str:
    try:
        return regions.get(region).partition
    except regions.UnknownRegion:  # another rule refuses it
        return otherwise


def efa_layout(fleet: Fleet) -> EfaLayout:
    """What the file asks for, or what the catalogue has for the fleet's first type."""
    if fleet.efa:
        return fleet.efa.layout
    first = instance(fleet.instance_types[0])
    return instances.default_efa_layout(first) if first else "none"


def network_zones(deployment: Deployment) -> tuple[str, ...]:
    """The network's zones; none when another rule refuses what the file says about them."""
    try:
        return zones(deployment)
    except (ValueError, regions.UnknownRegion):
        return ()


def is_zone_name(region: str, zone: str) -> bool:
    """Whether a zone goes by its name (``us-east-1a``), which every account maps to another place, not by its id."""
    return zone.startswith(region)


def fits_target(at: Pointer, names: Sequence[str], model: str, wanted: Compile) -> Iterator[Problem]:
    """Whether instances run what a model was compiled for."""
    for index, name in enumerate(names):
        host = instance(name)
        if host and host.target != wanted.target:
            able = [each.name for each in instances.all_types() if each.target == wanted.target]
            prefix = SAGEMAKER if name.startswith(SAGEMAKER) else ""
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
        if host and host.target == wanted.target and 1 < wanted.tensor_parallel > host.logical_cores:
            able = [
                each.name
                for each in instances.all_types()
                if each.target == wanted.target and each.logical_cores >= wanted.tensor_parallel
            ]
            prefix = SAGEMAKER if name.startswith(SAGEMAKER) else ""
            yield Problem(
                "NCDK-TYPE-011",
                (*at, index),
                f"{name} has {host.logical_cores} NeuronCores, and model {model} needs {wanted.tensor_parallel}",
                some([prefix + each for each in able]),
                "take a larger type, or lower tensor_parallel",
            )


def listed_types(endpoint: Endpoint) -> Iterator[tuple[Pointer, tuple[str, ...]]]:
    """Every list of instance types that an endpoint has, with the pointer to it."""
    yield ("instance_types",), endpoint.instance_types
    for name, variant in endpoint.variants.items():
        if variant.instance_types:
            yield ("variants", name, "instance_types"), variant.instance_types
    if endpoint.shadow and endpoint.shadow.instance_types:
        yield ("shadow", "instance_types"), endpoint.shadow.instance_types


def place_of(endpoint: Endpoint, variant: Variant) -> Pointer:
    """Where the file has a variant; nothing for the endpoint's own."""
    if variant.shadow:
        return ("shadow",)
    return ("variants", variant.name) if variant.name in endpoint.variants else ()


def size_at(endpoint: Endpoint, variant: Variant) -> Pointer:
    """Where the file has a variant's size: with the variant, or with the endpoint."""
    given: Shadow | VariantSpec | None = endpoint.shadow if variant.shadow else endpoint.variants.get(variant.name)
    return (*place_of(endpoint, variant), "size") if given and given.size else ("size",)


def type_at(endpoint: Endpoint, variant: Variant, index: int) -> Pointer:
    """Where the file has a variant's instance type of that index: with the variant, or with the endpoint."""
    given: Shadow | VariantSpec | None = endpoint.shadow if variant.shadow else endpoint.variants.get(variant.name)
    place = place_of(endpoint, variant) if given and given.instance_types else ()
    return (*place, "instance_types", index)


def repeated(at: Pointer, entries: Sequence[object]) -> Iterator[Problem]:
    """Entries that are in a list already."""
    for index, entry in enumerate(entries):
        if entry in entries[:index]:
            yield Problem("NCDK-FIELD-008", (*at, index), "this is in the list already", fix="remove it", given=entry)


def some(names: Sequence[str]) -> str:
    """The first few of a list, for people to read."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
