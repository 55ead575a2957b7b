"""Zones as this account has them, and what they offer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ...spec import Deployment
from ...spec.checks.common import network_zones
from ...spec.findings import Problem
from ...spec.source import Pointer
from ...spec.zones import ec2_types
from ..aws import Aws
from . import places

_LISTED: Pointer = ("network", "availability_zones")


def are_the_accounts(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    """Every zone of the file is the account's, may be used, and none is there twice under two names."""
    zones = aws.zones()
    by_id = {zone.id: zone for zone in zones}
    known = places.ids(zones)
    allowed = ", ".join(sorted(by_id))
    for pointer, wanted in _named(deployment):
        if wanted not in known:
            yield Problem(
                "NCDK-DOCTOR-008", pointer, f"the account has no zone {wanted}", allowed, "take one that it has"
            )
            continue
        zone = by_id[known[wanted]]
        if not zone.opted_in:
            yield Problem(
                "NCDK-DOCTOR-009", pointer, f"the account has not opted in to {wanted}", fix="opt in, or take another"
            )
        elif not zone.available:
            yield Problem("NCDK-DOCTOR-009", pointer, f"{wanted} is not available now", fix="take another zone")
        if wanted == zone.name:
            yield Problem(
                "NCDK-DOCTOR-011",
                pointer,
                f"{wanted} is {zone.id} in this account",
                fix=f"write {zone.id}, which means the same place in every account",
            )
    listed = deployment.network.availability_zones
    listed = listed if isinstance(listed, tuple) else ()
    for index, wanted in enumerate(listed):
        same = [other for other in listed[:index] if known.get(other) == known.get(wanted, "")]
        if same and same[0] != wanted:
            message = f"{wanted} and {same[0]} are the same zone in this account"
            yield Problem("NCDK-DOCTOR-010", (*_LISTED, index), message, fix="remove one of them")


def offer_the_types(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    """Every type is offered where it would be started, and no zone of a fleet offers none of its types."""
    wanted = ec2_types(deployment)
    if not wanted:
        return
    known = places.ids(aws.zones())
    offered = aws.offerings(wanted)
    for name, fleet in deployment.fleets.items():
        here = places.of_fleet(deployment, fleet, known)
        at: Pointer = ("fleets", name)
        for index, instance_type in enumerate(fleet.instance_types):
            yield from _offered(instance_type, (*at, "instance_types", index), here, offered.get(instance_type, ()))
        idle = [zone for zone in here if not any(zone in offered.get(kind, ()) for kind in fleet.instance_types)]
        if idle and len(idle) < len(here):
            yield Problem(
                "NCDK-DOCTOR-013",
                (*at, "instance_types"),
                f"{', '.join(idle)} offers none of the fleet's types: no instance starts there",
                fix="leave the zone out with zone: …, or add a type that it offers",
            )
    for name, cluster in deployment.training_clusters.items():
        here = places.of_cluster(deployment, cluster, known)
        offering = offered.get(cluster.instance_type, ())
        yield from _offered(cluster.instance_type, ("training_clusters", name, "instance_type"), here, offering)


def _offered(instance_type: str, at: Pointer, here: Sequence[str], offering: Collection[str]) -> Iterator[Problem]:
    zones = sorted(offering)
    if here and not set(here).intersection(zones):
        yield Problem(
            "NCDK-DOCTOR-012",
            at,
            f"EC2 does not offer {instance_type} in {', '.join(here)} to this account",
            ", ".join(zones) or "none of the region's zones",
            "take a zone that offers it" if zones else "take another region or another type",
        )


def _named(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    """Every zone the deployment uses, and where the file names or counts it."""
    listed = deployment.network.availability_zones
    if isinstance(listed, tuple):
        yield from (((*_LISTED, index), zone) for index, zone in enumerate(listed))
    else:
        yield from ((_LISTED, zone) for zone in network_zones(deployment))
    for section, parts in (("fleets", deployment.fleets), ("training_clusters", deployment.training_clusters)):
        for name, part in parts.items():
            if part.zone:
                yield (section, name, "zone"), part.zone
