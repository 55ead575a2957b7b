"""Disks and reserved instances of an endpoint, and how long SageMaker looks for instances."""

from __future__ import annotations

from collections.abc import Iterator

from ..endpoint import Endpoint
from ..endpoints import Variant, variants
from ..findings import Problem
from ..hosting import MOST_GB
from ..hosts import instance
from .common import Surroundings, other_place, size_at, type_at


def volumes_are_possible(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.hosting.volume_gb is None:
        return
    for name in dict.fromkeys(name for variant in variants(endpoint) for name in variant.types):
        host = instance(name)
        if host and host.local_disk_gb:
            yield Problem(
                "NCDK-ENDPOINT-020",
                ("hosting", "volume_gb"),
                f"{name} has a disk of its own, {host.local_disk_gb} GB, and SageMaker then takes no volume size",
                fix="remove volume_gb",
            )
            return


def models_fit_disks(endpoint: Endpoint, around: Surroundings) -> Iterator[Problem]:
    for variant in variants(endpoint):
        for index, name in enumerate(variant.types):
            host, size = instance(name), _size(endpoint, variant, name, around)
            if host is None or size is None:
                continue
            wish = None if host.local_disk_gb else endpoint.hosting.volume_gb
            room = host.local_disk_gb or wish or MOST_GB
            if size >= room:
                what = "volume_gb leaves" if wish else f"{name} has at most"
                yield Problem(
                    "NCDK-ENDPOINT-021",
                    ("hosting", "volume_gb") if wish else type_at(endpoint, variant, index),
                    f"what is served here takes {size:g} GB, and {what} {room} GB",
                    f"more than {size:g} GB, and up to {MOST_GB}" if wish and size < MOST_GB else "",
                    "raise volume_gb, or leave it out" if wish else "take a type with a larger disk of its own",
                )


def reservations_are_possible(endpoint: Endpoint, around: Surroundings) -> Iterator[Problem]:
    """A reservation is a training plan whose target is endpoints: for one instance type, in one place, for a time."""
    if endpoint.reservation is None:
        return
    every = variants(endpoint)
    if len({name for variant in every for name in variant.types}) > 1:
        yield Problem(
            "NCDK-ENDPOINT-014",
            ("reservation",),
            "a reservation is for one instance type, and the endpoint has several",
            "one instance type for all variants",
        )
    if other := other_place(endpoint.reservation, around):
        yield Problem(
            "NCDK-ENDPOINT-015",
            ("reservation",),
            f"this reservation is in {other}, and serves endpoints there alone",
            f"a reservation in {around.place}",
        )
    for variant in every:
        if variant.size.min == 0:
            yield Problem(
                "NCDK-ENDPOINT-016",
                (*size_at(endpoint, variant), "min"),
                "reserved instances are paid for, and this lets them stand empty",
                fix=f"set min to as many as are reserved, {variant.size.max} perhaps",
            )
            return


def waits_have_pools(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.provision_timeout_minutes and all(len(variant.types) == 1 for variant in variants(endpoint)):
        yield Problem(
            "NCDK-ENDPOINT-022",
            ("provision_timeout_minutes",),
            "with one instance type there is no other to turn to",
            fix="remove it, or list more instance types",
        )


def _size(endpoint: Endpoint, variant: Variant, instance_type: str, around: Surroundings) -> float | None:
    """What one instance holds, GB; None where nobody says."""
    model = variant.model_of(instance_type)
    names = [model] if model else [component.model for component in endpoint.components]
    known = [size for size in map(around.sizes_gb.get, names) if size is not None]
    return sum(known) if known else None
