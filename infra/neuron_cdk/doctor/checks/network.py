"""A VPC that exists, and its subnets."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec import Deployment, Network
from ...spec.checks.common import efa_layout
from ...spec.findings import Problem
from ...spec.hosts import instance
from ...spec.source import Pointer
from ..aws import Aws
from . import places

_VPC: Pointer = ("network", "vpc_id")


def exists(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    network = deployment.network
    if network.vpc_id is None:
        return
    vpc = aws.vpc(network.vpc_id)
    if vpc is None:
        yield Problem("NCDK-DOCTOR-024", _VPC, "there is no such VPC in this account and region")
        return
    off = [
        name
        for name, on, needed in (
            ("enableDnsSupport", vpc.dns_support, True),
            ("enableDnsHostnames", vpc.dns_hostnames, network.egress == "endpoints-only"),
        )
        if needed and not on
    ]
    if off:
        yield Problem(
            "NCDK-DOCTOR-025",
            _VPC,
            f"the VPC has {' and '.join(off)} off: instances there do not find AWS",
            fix=f"turn it on: aws ec2 modify-vpc-attribute --vpc-id {network.vpc_id} …",
        )
    yield from _subnets(deployment, network, aws)


def _subnets(deployment: Deployment, network: Network, aws: Aws) -> Iterator[Problem]:
    known = places.ids(aws.zones())
    found = aws.subnets(network.subnet_ids)
    needed = _addresses(deployment, known)
    listed = network.availability_zones if isinstance(network.availability_zones, tuple) else ()
    for index, (subnet_id, zone) in enumerate(zip(network.subnet_ids, listed, strict=False)):
        at: Pointer = ("network", "subnet_ids", index)
        subnet = found.get(subnet_id)
        if subnet is None or subnet.vpc_id != network.vpc_id:
            where = f"is in {subnet.vpc_id}" if subnet else "is not there"
            yield Problem("NCDK-DOCTOR-026", at, f"{subnet_id} {where}", f"a subnet of {network.vpc_id}")
            continue
        if known.get(zone) != subnet.zone_id:
            message = f"{subnet_id} is in {subnet.zone_id}, and the file says {zone}"
            fix = "put subnet_ids and availability_zones in the same order"
            yield Problem("NCDK-DOCTOR-027", at, message, subnet.zone_id, fix)
        least = needed.get(subnet.zone_id, 0)
        if subnet.free_addresses < least:
            yield Problem(
                "NCDK-DOCTOR-028",
                at,
                f"{subnet_id} has {subnet.free_addresses} free addresses, and the fleets need {least} there at max",
                fix="take a larger subnet, or lower max",
            )


def _addresses(deployment: Deployment, known: dict[str, str]) -> dict[str, int]:
    """Zone id to the addresses that its fleets may take: in the layout efa every interface has one.

    A fleet in several zones spreads evenly, and is counted so.
    """
    needed: dict[str, int] = {}
    for fleet in deployment.fleets.values():
        host = instance(fleet.instance_types[0])
        each = host.efa_interfaces if host and efa_layout(fleet) == "efa" else 1
        here = places.of_fleet(deployment, fleet, known)
        for zone in here:
            needed[zone] = needed.get(zone, 0) + -(-fleet.size.max // len(here)) * each
    return needed
