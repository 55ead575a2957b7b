"""Availability zones: that they are the region's and the network's, and offer what is placed in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from neuron_cdk.catalog import regions

from ..deployment import Deployment
from ..findings import Problem
from ..source import Pointer
from .common import efa_layout, is_zone_name, network_zones, repeated
from .instance_types import ec2_types

_ZONES: Pointer = ("network", "availability_zones")


def zones_are_the_regions(deployment: Deployment) -> Iterator[Problem]:
    wanted, region = deployment.network.availability_zones, deployment.environment.region
    known = _known_zones(region)
    named = [(pointer, zone) for pointer, zone in _pinned(deployment)]
    if isinstance(wanted, tuple):
        yield from repeated(_ZONES, wanted)
        named += [((*_ZONES, index), zone) for index, zone in enumerate(wanted)]
    elif known is not None and len(known) < wanted:
        message = f"{region} has {len(known)} zones" if known else f"the catalogue does not know {region}'s zones"
        yield Problem("NCDK-ZONE-002", _ZONES, message, f"1 to {len(known)}" if known else "a list of zone ids")
    for pointer, zone in named:
        if re.fullmatch(re.escape(region) + "[a-z]", zone):
            yield Problem(
                "NCDK-ZONE-004",
                pointer,
                "a zone name means another place in every account, so nothing about it can be checked here",
                f"a zone id, such as {known[0]}" if known else "a zone id",
            )
        elif known and zone not in known:
            yield Problem("NCDK-ZONE-001", pointer, f"{region} has no such zone", ", ".join(known))


def pinned_zones_are_the_networks(deployment: Deployment) -> Iterator[Problem]:
    """A counted network takes in the zones that the file names, as many as it counts."""
    wanted = deployment.network.availability_zones
    pinned = dict.fromkeys(zone for _, zone in _pinned(deployment))
    has = wanted if isinstance(wanted, tuple) else tuple(islice(pinned, wanted))
    for pointer, zone in _pinned(deployment):
        if zone not in has:
            yield Problem(
                "NCDK-ZONE-003",
                pointer,
                "the network has no subnet in this zone",
                ", ".join(has),
                "add it to network.availability_zones"
                if isinstance(wanted, tuple)
                else f"raise network.availability_zones to {len(pinned)}",
            )


def types_are_offered_in_zone(deployment: Deployment) -> Iterator[Problem]:
    """In the zone a fleet names, or else in at least one of the network's."""
    region, listed = deployment.environment.region, network_zones(deployment)
    pinned = {pointer[:2]: zone for pointer, zone in _pinned(deployment)}
    for pointer, name in ec2_types(deployment):
        offering = regions.zones_offering(region, name)
        zone = pinned.get(pointer[:2])
        candidates = (zone,) if zone else listed
        if not candidates or any(is_zone_name(region, candidate) for candidate in candidates):
            continue
        if offering and not set(offering).intersection(candidates):
            yield Problem(
                "NCDK-TYPE-005",
                (*pointer[:2], "zone") if zone else pointer,
                f"{name} is not offered in {', '.join(candidates)}",
                ", ".join(offering),
                "take a zone that offers it" if zone else "add a zone that offers it to network.availability_zones",
            )


def efa_zone_can_be_chosen(deployment: Deployment) -> Iterator[Problem]:
    """A fleet with EFA lives in one zone: the first of the network's that is known to offer its type."""
    region, listed = deployment.environment.region, network_zones(deployment)
    for name, fleet in deployment.fleets.items():
        if efa_layout(fleet) == "none" or fleet.zone or not listed:
            continue
        offering = regions.zones_offering(region, fleet.instance_types[0])
        unknown = not offering or any(is_zone_name(region, zone) for zone in listed)
        if unknown and not set(offering).intersection(listed):
            yield Problem(
                "NCDK-EFA-004",
                ("fleets", name),
                "a fleet with EFA lives in one zone, and which of the network's offer its type is not known here",
                ", ".join(listed),
                "add zone: …",
                given=name,
            )


def _pinned(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    for name, fleet in deployment.fleets.items():
        if fleet.zone:
            yield ("fleets", name, "zone"), fleet.zone
    for name, cluster in deployment.training_clusters.items():
        if cluster.zone:
            yield ("training_clusters", name, "zone"), cluster.zone


def _known_zones(region: str) -> tuple[str, ...] | None:
    """None for a region that does not exist."""
    try:
        return regions.get(region).zones
    except regions.UnknownRegion:
        return None
