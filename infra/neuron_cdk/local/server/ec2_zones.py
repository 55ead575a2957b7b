"""EC2: the zones of a region, and which instance types each offers, as the catalogue has them.

ministack gives every region three zones. Here a region has the catalogue's, and az1 is the zone with letter a, az2 the
one with letter b, and so on: as good a mapping as any account's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ec2

from neuron_cdk.catalog import instances, regions

from . import patching

Request = dict[str, list[str]]

_actions = patching.original(ec2, "_ACTION_MAP")
_describe_zones = patching.original(ec2, "_describe_availability_zones")
_name_of_id = patching.original(ec2, "_zone_name_for_az_id")
_xml = patching.original(ec2, "_xml")
_error = patching.original(ec2, "_error")
_members = patching.original(ec2, "_parse_member_list")
_filters = patching.original(ec2, "_parse_filters")
_matches = patching.original(ec2, "_glob_match")


def install() -> None:
    patching.replace(ec2, "_zone_name_for_az_id", _zone_name)
    _actions["DescribeAvailabilityZones"] = _describe_availability_zones
    _actions["DescribeInstanceTypeOfferings"] = _describe_instance_type_offerings


def zones(region: str) -> dict[str, str]:
    """Zone id to zone name; empty where the catalogue knows no zones of the region."""
    try:
        known = regions.get(region).zones
    except regions.UnknownRegion:
        return {}
    return {zone: f"{region}{chr(ord('a') + int(zone.rpartition('-az')[2]) - 1)}" for zone in known}


def _zone_name(zone_id: str) -> str | None:
    """What a subnet's AvailabilityZoneId means."""
    if not zone_id:
        return None
    name: str | None = zones(get_region()).get(zone_id) or _name_of_id(zone_id)
    return name


def _describe_availability_zones(request: Request) -> Any:
    region = get_region()
    known = zones(region)
    if not known:
        return _describe_zones(request)
    asked = {name for member in ("ZoneName", "ZoneId") for name in _members(request, member)}
    unknown = asked - {*known, *known.values()}
    if unknown:
        return _error("InvalidParameterValue", f"Invalid availability zone: [{', '.join(sorted(unknown))}]", 400)
    filters = _filters(request)
    items = "".join(
        f"<item><zoneName>{name}</zoneName><zoneState>available</zoneState><regionName>{region}</regionName>"
        f"<zoneId>{zone}</zoneId><groupName>{region}-zg-1</groupName><networkBorderGroup>{region}</networkBorderGroup>"
        "<optInStatus>opt-in-not-required</optInStatus><zoneType>availability-zone</zoneType></item>"
        for zone, name in known.items()
        if (not asked or asked & {zone, name})
        and _pass(filters, {"zone-id": zone, "zone-name": name, "state": "available", "region-name": region})
    )
    return _xml(200, "DescribeAvailabilityZonesResponse", f"<availabilityZoneInfo>{items}</availabilityZoneInfo>")


def _describe_instance_type_offerings(request: Request) -> Any:
    region, kind = get_region(), request.get("LocationType", ["region"])[0]
    known, filters = zones(region), _filters(request)
    items = []
    for instance in instances.all_types():
        offering = _offering(region, instance.name, known)
        locations: Iterable[str] = {
            "region": [region] if offering or regions.offers(region, instance.name) else [],
            "availability-zone": [known[zone] for zone in offering],
            "availability-zone-id": offering,
        }.get(kind, ())
        items += [
            f"<item><instanceType>{instance.name}</instanceType><locationType>{kind}</locationType>"
            f"<location>{location}</location></item>"
            for location in locations
            if _pass(filters, {"instance-type": instance.name, "location": location})
        ]
    return _xml(
        200,
        "DescribeInstanceTypeOfferingsResponse",
        f"<instanceTypeOfferingSet>{''.join(items)}</instanceTypeOfferingSet>",
    )


def _offering(region: str, instance_type: str, known: dict[str, str]) -> list[str]:
    """Where the catalogue knows that a type is offered and not in which zones, it is offered in all of them."""
    offering = regions.zones_offering(region, instance_type)
    if not offering and regions.offers(region, instance_type):
        return list(known)
    return [zone for zone in offering if zone in known]


def _pass(filters: dict[str, list[str]], values: dict[str, str]) -> bool:
    """EC2's filters: every one must hold, by one of its values."""
    return all(
        any(_matches(value, values[name]) for value in wanted) for name, wanted in filters.items() if name in values
    )
