"""What a group launches: from which version of its template, of which type, bought how, into which subnet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ministack.services import ec2

from .. import patching
from ..api import ServiceError
from . import capacity, instances, reservations
from .store import Record

_templates = patching.original(ec2, "_launch_templates")

_BLOCK, _RESERVED, _ON_DEMAND = "capacity-block", "on-demand-capacity-reservation", "on-demand"


class ShortError(Exception):
    """No capacity: the message is that of the activity and its event."""

    def __init__(self, message: str, subnet: str) -> None:
        super().__init__(message)
        self.subnet = subnet


@dataclass(frozen=True)
class Way:
    """One way to get an instance. ``reservation`` None is capacity that nobody reserved."""

    market: str
    """on-demand, spot or capacity-block."""
    instance_type: str
    reservation: str | None = None


def specification(configuration: Record) -> Record:
    """The launch template and version that a group, or a refresh's desired configuration, names."""
    mixed = configuration.get("MixedInstancesPolicy")
    found: Record = mixed["LaunchTemplate"]["LaunchTemplateSpecification"] if mixed else configuration["LaunchTemplate"]
    return found


def template(wanted: Record) -> Record:
    """The version that a specification names: its id, name, number and data. Raises ``ValidationError``."""
    record = _templates.get(wanted.get("LaunchTemplateId", "")) or next(
        (each for each in _templates.values() if each["LaunchTemplateName"] == wanted.get("LaunchTemplateName")), None
    )
    if record is None:
        what = wanted.get("LaunchTemplateId") or wanted.get("LaunchTemplateName")
        raise ServiceError(
            "ValidationError",
            "You must use a valid fully-formed launch template. The specified launch template, with template "
            f"{'ID' if 'LaunchTemplateId' in wanted else 'name'} {what}, does not exist.",
        )
    numbers = {"$Latest": record["LatestVersionNumber"], "$Default": record["DefaultVersionNumber"]}
    version = str(numbers.get(wanted.get("Version", "$Default"), wanted.get("Version")))
    found: Record | None = next((each for each in record["Versions"] if str(each["VersionNumber"]) == version), None)
    if found is None:
        raise ServiceError(
            "ValidationError",
            "You must use a valid fully-formed launch template. Could not find the specified version "
            f"{version} for the launch template with ID {record['LaunchTemplateId']}.",
        )
    return found


def whole(configuration: Record) -> Record:
    """A configuration whose template has id, name and version, as AWS shows it. Raises ``ValidationError``."""
    mixed = configuration.get("MixedInstancesPolicy")
    if mixed is None:
        return configuration | {"LaunchTemplate": _named_as_asked(configuration["LaunchTemplate"])}
    part = mixed.get("LaunchTemplate") or {}
    full = _named_as_asked(part.get("LaunchTemplateSpecification") or {})
    return configuration | {
        "MixedInstancesPolicy": mixed | {"LaunchTemplate": part | {"LaunchTemplateSpecification": full}}
    }


def _named_as_asked(wanted: Record) -> Record:
    if not ("LaunchTemplateId" in wanted or "LaunchTemplateName" in wanted):
        raise ServiceError(
            "ValidationError", "Valid requests must contain either launchTemplateId or LaunchTemplateName"
        )
    return named(template(wanted)) | {"Version": wanted.get("Version", "$Default")}


def named(version: Record) -> Record:
    """A version as a group's instance shows it."""
    return {
        "LaunchTemplateId": version["LaunchTemplateId"],
        "LaunchTemplateName": version["LaunchTemplateName"],
        "Version": str(version["VersionNumber"]),
    }


def choose(group: Record, configuration: Record) -> tuple[Way, str, Record]:
    """How the next instance is bought, its subnet, its template's version. Raises ``ShortError``, ``ServiceError``."""
    version = template(specification(configuration))
    short: ShortError | None = None
    for way in _ways(group, configuration, version["LaunchTemplateData"]):
        subnets = _subnets(group, way)
        for subnet in subnets:
            if _there(group, way):
                return way, subnet, version
        short = short or ShortError(_message(group, configuration, way, subnets), subnets[0] if subnets else "")
    if short is None:
        raise ServiceError("ValidationError", "The launch template names no instance type")
    raise short


def is_spot(group: Record) -> bool:
    """Whether some of a group's instances are spot."""
    mixed = group.get("MixedInstancesPolicy")
    if mixed:
        distribution = _distribution(mixed)
        above = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
        return above < 100 and "DistributionSegments" not in distribution
    return _market(template(group["LaunchTemplate"])["LaunchTemplateData"]) == "spot"


def _ways(group: Record, configuration: Record, data: Record) -> Iterator[Way]:
    mixed = configuration.get("MixedInstancesPolicy")
    overrides = mixed["LaunchTemplate"].get("Overrides", []) if mixed else []
    types = [each["InstanceType"] for each in overrides if each.get("InstanceType")] or [data.get("InstanceType")]
    types = [each for each in types if each]
    market = _next_market(group, mixed) if mixed else _market(data)
    for kind in _kinds(group, mixed, data, market):
        if kind in (_BLOCK, _RESERVED):
            yield from _reserved(kind, types, _targets(group, data))
        else:
            for name in types:
                yield Way(kind, name)


def _kinds(group: Record, mixed: Record | None, data: Record, market: str) -> list[str]:
    """The kinds of capacity to try, in order."""
    if market == "spot":
        return ["spot"]
    segments = _distribution(mixed).get("DistributionSegments", []) if mixed else []
    listed = [kind for segment in segments for kind in segment.get("TargetCapacityTypes", [])]
    if listed:
        return [kind for kind in listed if kind in (_BLOCK, _RESERVED, _ON_DEMAND)]
    if market == _BLOCK:
        return [_BLOCK]
    preference = group.get("CapacityReservationSpecification", {}).get("CapacityReservationPreference", "default")
    if preference == "default":
        preference = data.get("CapacityReservationSpecification", {}).get("CapacityReservationPreference", preference)
    if preference == "none":
        return [_ON_DEMAND]
    if preference == "capacity-reservations-only":
        return [_RESERVED]
    return [_RESERVED, _ON_DEMAND] if _targets(group, data) else [_ON_DEMAND]


def _targets(group: Record, data: Record) -> list[str]:
    """The reservations that a group targets, or else its template."""
    target = group.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    found = [*target.get("CapacityReservationIds", [])]
    for arn in target.get("CapacityReservationResourceGroupArns", []):
        found += reservations.members(arn)
    if found:
        return found
    own = data.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    if own.get("CapacityReservationId"):
        return [own["CapacityReservationId"]]
    return reservations.members(own.get("CapacityReservationResourceGroupArn", ""))


def _reserved(kind: str, types: list[str], targets: list[str]) -> Iterator[Way]:
    """By type, and in it by reservation; one that is full is still named, for the message it gives."""
    of_kind = "capacity-block" if kind == _BLOCK else "default"
    market = _BLOCK if kind == _BLOCK else _ON_DEMAND
    for name in types:
        found = [
            each
            for each in targets
            if (record := reservations.find(each))
            and record["ReservationType"] == of_kind
            and record["InstanceType"] == name
        ]
        for each in found or targets[:1] or ["none"]:
            yield Way(market, name, each)


def _there(group: Record, way: Way) -> bool:
    if way.reservation:
        record = reservations.find(way.reservation)
        if record is None or record["InstanceType"] != way.instance_type or not reservations.takes(record):
            return False
    return capacity.available(
        group=group["AutoScalingGroupName"],
        market=way.market,
        reservation=way.reservation,
        instance_type=way.instance_type,
    )


def _subnets(group: Record, way: Way) -> list[str]:
    """The group's subnets, emptiest first; of the reservation's zone when there is one."""
    listed = [each for each in group.get("VPCZoneIdentifier", "").split(",") if each]
    listed = listed or instances.default_subnets(group["AvailabilityZones"])
    record = reservations.find(way.reservation) if way.reservation else None
    if record:
        listed = [each for each in listed if instances.zone_of(each) == record["AvailabilityZone"]]
    there = [each["_subnet"] for each in group["_instances"].values()]
    return sorted(listed, key=there.count)


def _message(group: Record, configuration: Record, way: Way, subnets: list[str]) -> str:
    zone = instances.zone_of(subnets[0]) if subnets else ", ".join(group["AvailabilityZones"])
    if way.market == "spot":
        told = "There is no Spot capacity available that matches your request."
        who = "Could not launch Spot Instances. InsufficientInstanceCapacity - "
    elif way.reservation:
        told = "The requested reservation does not have sufficient compatible and available capacity for this request."
        who = "Could not launch On-Demand Instances. ReservationCapacityExceeded - "
    else:
        told = (
            f"We currently do not have sufficient {way.instance_type} capacity in the Availability Zone you requested "
            f"({zone}). Our system will be working on provisioning additional capacity."
        )
        who = "Could not launch On-Demand Instances. InsufficientInstanceCapacity - "
    mixed = "MixedInstancesPolicy" in configuration
    return f"{who if mixed else ''}{told} Launching EC2 instance failed."


def _distribution(mixed: Record) -> Record:
    found: Record = mixed.get("InstancesDistribution", {})
    return found


def _market(data: Record) -> str:
    return str((data.get("InstanceMarketOptions") or {}).get("MarketType", _ON_DEMAND))


def _next_market(group: Record, mixed: Record) -> str:
    """On-demand while there is less of it than the policy's base and share ask for, spot after that."""
    distribution = _distribution(mixed)
    base = int(distribution.get("OnDemandBaseCapacity", 0))
    share = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
    above = max(group["DesiredCapacity"] - base, 0)
    wanted = min(base, group["DesiredCapacity"]) + math.ceil(above * share / 100)
    there = sum(
        each["_market"] != "spot" and not each["LifecycleState"].startswith("Terminat")
        for each in group["_instances"].values()
    )
    return _ON_DEMAND if there < wanted else "spot"
