"""Account, region, network, zones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import islice

from neuron_cdk.catalog import regions

from ..deployment import Deployment
from ..findings import Problem
from ..source import Pointer
from .instance_types import efa_layout, instance, repeated

_NETWORK: Pointer = ("network",)
_CIDR: Pointer = ("network", "cidr")
_ZONES: Pointer = ("network", "availability_zones")
# Addresses that are never a host's, so never a VPC's (RFC 6890); the rest of the public ones are only unwise.
_UNUSABLE = [IPv4Network(net) for net in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]
_PRIVATE = [IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
# Docker's default bridge, inside SageMaker's hosts too.
_DOCKER = IPv4Network("172.17.0.0/16")
_RESERVED_ADDRESSES = 5  # AWS keeps four at the start of every subnet, one at its end
_SMALLEST_PRIVATE_PREFIX = 26


def known_region(deployment: Deployment) -> Iterator[Problem]:
    given = deployment.environment.region
    try:
        regions.get(given)
    except regions.UnknownRegion as unknown:
        hint = f"; did you mean {unknown.nearest}?" if unknown.nearest else ""
        yield Problem(
            "NCDK-ENV-002",
            ("environment", "region"),
            f"there is no such region{hint}",
            allowed="an AWS region of the catalogue, such as us-east-1",
        )


def one_network(deployment: Deployment) -> Iterator[Problem]:
    network = deployment.network
    if (network.cidr is None) == (network.vpc_id is None):
        yield Problem(
            "NCDK-NET-003",
            _NETWORK,
            "a network is either new or exists",
            allowed="cidr, or vpc_id with subnet_ids and availability_zones",
            fix="give one of cidr and vpc_id",
        )
    elif network.cidr and network.subnet_ids:
        yield Problem(
            "NCDK-NET-009", ("network", "subnet_ids"), "a new network makes its own subnets", fix="remove subnet_ids"
        )
    elif network.vpc_id and (
        not isinstance(network.availability_zones, tuple) or len(network.subnet_ids) != len(network.availability_zones)
    ):
        yield Problem(
            "NCDK-NET-009",
            ("network", "subnet_ids") if network.subnet_ids else ("network", "vpc_id"),
            "a network that exists needs one private subnet for each zone",
            allowed="subnet_ids and availability_zones of the same length, in the same order",
        )
    yield from repeated(("network", "subnet_ids"), network.subnet_ids)


def usable_cidr(deployment: Deployment) -> Iterator[Problem]:
    if deployment.network.cidr is None:
        return
    try:
        network = IPv4Network(deployment.network.cidr)
    except ValueError as error:
        fix = ""
        if "host bits" in str(error):
            fix = f"write {IPv4Network(deployment.network.cidr, strict=False)}"
        yield Problem("NCDK-NET-004", _CIDR, "this is not an IPv4 range", "a range such as 10.40.0.0/16", fix)
        return
    if any(network.overlaps(other) for other in _UNUSABLE):
        yield Problem("NCDK-NET-006", _CIDR, "no host can have these addresses", "a private range such as 10.40.0.0/16")
    elif not any(network.subnet_of(other) for other in _PRIVATE):
        yield Problem(
            "NCDK-NET-007",
            _CIDR,
            "these addresses belong to somebody on the internet, who will be out of reach",
            "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10",
        )
    if network.overlaps(_DOCKER):
        yield Problem(
            "NCDK-NET-008", _CIDR, "172.17.0.0/16 is Docker's own network, in SageMaker's hosts too", fix="take another"
        )
    longest = _SMALLEST_PRIVATE_PREFIX - _zone_bits(deployment)
    if not 16 <= network.prefixlen <= longest:
        yield Problem(
            "NCDK-NET-005",
            _CIDR,
            "this range is too large for a VPC"
            if network.prefixlen < 16
            else f"this range is too small for {_zone_count(deployment)} zones",
            allowed=f"/16 to /{longest}",
        )


def zones_of_the_region(deployment: Deployment) -> Iterator[Problem]:
    wanted = deployment.network.availability_zones
    region = deployment.environment.region
    known = _known_zones(deployment)
    if isinstance(wanted, tuple):
        yield from repeated(_ZONES, wanted)
        for index, zone in enumerate(wanted):
            yield from _zone(region, known, (*_ZONES, index), zone)
    elif known is not None and len(known) < wanted:
        yield Problem(
            "NCDK-ZONE-002",
            _ZONES,
            f"{region} has {len(known)} zones" if known else f"the catalogue does not know the zones of {region}",
            allowed=f"1 to {len(known)}" if known else "a list of zone ids",
        )
    for pointer, zone in _pinned(deployment):
        yield from _zone(region, known, pointer, zone)
        if isinstance(wanted, tuple) and zone not in wanted:
            yield Problem(
                "NCDK-ZONE-003",
                pointer,
                "the network has no subnet in this zone",
                allowed=", ".join(wanted),
                fix="add the zone to the network, or take one that it has",
            )
    if not isinstance(wanted, tuple):
        pinned = dict.fromkeys(zone for _, zone in _pinned(deployment))
        for zone in islice(pinned, wanted, None):
            pointer = next(pointer for pointer, other in _pinned(deployment) if other == zone)
            yield Problem(
                "NCDK-ZONE-003",
                pointer,
                f"the network has {wanted} zones, all named elsewhere in the file",
                allowed=", ".join(islice(pinned, wanted)),
                fix=f"raise availability_zones to {len(pinned)}",
            )


def enough_addresses(deployment: Deployment) -> Iterator[Problem]:
    """An EFA fleet fills one subnet, and in the ``efa`` layout every interface takes an address."""
    try:
        network = IPv4Network(str(deployment.network.cidr))
    except ValueError:
        return
    room = 2 ** max(0, 32 - network.prefixlen - _zone_bits(deployment)) - _RESERVED_ADDRESSES
    for name, fleet in deployment.fleets.items():
        host = instance(fleet.instance_types[0])
        if host is None:
            continue
        each = host.efa_interfaces if efa_layout(fleet) == "efa" else 1
        if fleet.size.max * each > room:
            yield Problem(
                "NCDK-NET-010",
                ("fleets", name, "size", "max"),
                f"{fleet.size.max} instances of {each} addresses each do not fit a zone's subnet, which has {room}",
                fix="give the network a larger cidr" + (", or the fleet the layout efa-only" if each > 1 else ""),
            )


def _zone(region: str, known: tuple[str, ...] | None, pointer: Pointer, zone: str) -> Iterator[Problem]:
    if re.fullmatch(re.escape(region) + "[a-z]", zone):
        yield Problem(
            "NCDK-ZONE-004",
            pointer,
            "a zone name means another place in every account, so nothing about it can be checked here",
            allowed=f"a zone id, such as {known[0]}" if known else "a zone id",
        )
    elif known and zone not in known:
        yield Problem(
            "NCDK-ZONE-001",
            pointer,
            f"{region} has no such zone",
            allowed=", ".join(known),
            fix="take a zone id of the region",
        )


def _pinned(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    for name, fleet in deployment.fleets.items():
        if fleet.zone:
            yield ("fleets", name, "zone"), fleet.zone
    for name, cluster in deployment.training_clusters.items():
        if cluster.zone:
            yield ("training_clusters", name, "zone"), cluster.zone


def _known_zones(deployment: Deployment) -> tuple[str, ...] | None:
    """None for a region that does not exist."""
    try:
        return regions.get(deployment.environment.region).zones
    except regions.UnknownRegion:
        return None


def _zone_count(deployment: Deployment) -> int:
    wanted = deployment.network.availability_zones
    return len(wanted) if isinstance(wanted, tuple) else wanted


def _zone_bits(deployment: Deployment) -> int:
    """How much longer a private subnet's prefix is than the network's: NeuronNetwork's cut."""
    return _zone_count(deployment).bit_length()
