"""The region, and the network's addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from neuron_cdk.catalog import regions

from ..deployment import Deployment
from ..findings import Problem
from ..hosts import instance
from ..source import Pointer
from .common import efa_layout, repeated

_CIDR: Pointer = ("network", "cidr")
_SUBNETS: Pointer = ("network", "subnet_ids")
# Never a host's addresses, so never a VPC's (RFC 6890); other public ones are only unwise.
_UNUSABLE = [IPv4Network(net) for net in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]
_PRIVATE = [IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
_DOCKER = IPv4Network("172.17.0.0/16")  # Docker's default bridge, inside SageMaker's hosts too
_LARGEST_VPC = 16
_SMALLEST_SUBNET = 26  # NeuronNetwork's own limit; below it a few EFA instances fill a zone
_RESERVED_ADDRESSES = 5  # AWS keeps four at the start of every subnet, one at its end


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
    listed = network.availability_zones if isinstance(network.availability_zones, tuple) else ()
    if (network.cidr is None) == (network.vpc_id is None):
        yield Problem(
            "NCDK-NET-003",
            ("network",),
            "a network is either new or exists",
            "cidr, or vpc_id with subnet_ids and availability_zones",
            "give one of cidr and vpc_id",
        )
    elif network.cidr and network.subnet_ids:
        yield Problem("NCDK-NET-009", _SUBNETS, "a new network makes its own subnets", fix="remove subnet_ids")
    elif network.vpc_id and not len(network.subnet_ids) == len(listed) > 0:
        yield Problem(
            "NCDK-NET-009",
            _SUBNETS if network.subnet_ids else ("network", "vpc_id"),
            "a network that exists needs one private subnet for each zone",
            "subnet_ids and availability_zones of the same length, in the same order",
        )
    yield from repeated(_SUBNETS, network.subnet_ids)


def usable_cidr(deployment: Deployment) -> Iterator[Problem]:
    if deployment.network.cidr is None:
        return
    try:
        network = IPv4Network(deployment.network.cidr)
    except ValueError as error:
        meant = IPv4Network(deployment.network.cidr, strict=False) if "host bits" in str(error) else None
        fix = f"write {meant}" if meant else ""
        yield Problem("NCDK-NET-004", _CIDR, "this is not an IPv4 range", "a range such as 10.40.0.0/16", fix)
        return
    private = ", ".join(map(str, _PRIVATE))
    if any(network.overlaps(other) for other in _UNUSABLE):
        yield Problem("NCDK-NET-006", _CIDR, "no host can have these addresses", private)
    elif not any(network.subnet_of(other) for other in _PRIVATE):
        message = "these addresses belong to somebody on the internet, who will be out of reach"
        yield Problem("NCDK-NET-007", _CIDR, message, private)
    if network.overlaps(_DOCKER):
        message = f"{_DOCKER} is Docker's own network, in SageMaker's hosts too"
        yield Problem("NCDK-NET-008", _CIDR, message, fix="take another")


def range_fits_zones(deployment: Deployment) -> Iterator[Problem]:
    network = _new_range(deployment)
    if network is None:
        return
    longest = _SMALLEST_SUBNET - _zone_bits(deployment)
    allowed = f"/{_LARGEST_VPC} to /{longest}"
    if network.prefixlen < _LARGEST_VPC:
        yield Problem("NCDK-NET-005", _CIDR, "this range is too large for a VPC", allowed)
    elif network.prefixlen > longest:
        yield Problem("NCDK-NET-005", _CIDR, f"this range is too small for {_zone_count(deployment)} zones", allowed)


def enough_addresses(deployment: Deployment) -> Iterator[Problem]:
    """An EFA fleet fills one subnet, and in the ``efa`` layout every interface takes an address."""
    network = _new_range(deployment)
    if network is None:
        return
    room = max(0, 2 ** max(0, 32 - network.prefixlen - _zone_bits(deployment)) - _RESERVED_ADDRESSES)
    for name, fleet in deployment.fleets.items():
        host = instance(fleet.instance_types[0])
        each = host.efa_interfaces if host and efa_layout(fleet) == "efa" else 1
        if fleet.size.max * each > room:
            yield Problem(
                "NCDK-NET-010",
                ("fleets", name, "size", "max"),
                f"{fleet.size.max} instances of {each} addresses each do not fit a zone's subnet, which has {room}",
                fix="give the network a larger cidr" + (", or the fleet the layout efa-only" if each > 1 else ""),
            )


def _new_range(deployment: Deployment) -> IPv4Network | None:
    """The range of a new network, if it is one."""
    try:
        return IPv4Network(str(deployment.network.cidr))
    except ValueError:
        return None


def _zone_count(deployment: Deployment) -> int:
    wanted = deployment.network.availability_zones
    return len(wanted) if isinstance(wanted, tuple) else wanted


def _zone_bits(deployment: Deployment) -> int:
    """How much longer a private subnet's prefix is than the network's: NeuronNetwork's cut."""
    return _zone_count(deployment).bit_length()
