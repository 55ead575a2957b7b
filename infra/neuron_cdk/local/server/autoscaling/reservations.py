"""Capacity reservations and capacity blocks: how much is reserved, until when, and what is left of it."""

from __future__ import annotations

import copy
from typing import Any

import botocore.session
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import ec2, resource_groups

from .. import patching
from ..clock import clock
from ..sagemaker.store import speak_for
from . import instances
from .store import Record

_prefix = patching.original(ec2, "_az_id_prefix")
_members = patching.original(resource_groups, "_group_members")

_reservations = AccountRegionScopedDict()

CLOSES_BEFORE = 30 * 60
"""Seconds before a capacity block's end at which EC2 begins to terminate its instances, and takes no more."""
_HOUR = 3600
_LATEST = 253_402_300_799
"""The last second of the year 9999, beyond which no date can be written."""
_TYPES = ("default", "capacity-block")
_FIELDS = ("instance_type", "count", "zone", "start", "end", "type", "state")


def change(wanted: dict[str, Any]) -> list[Record]:
    """``PUT /_neuron_cdk/reservations``: by id, what is reserved, or null to forget it. Raises ``ValueError``.

    ``{"cr-…": {"instance_type": "trn1.32xlarge", "count": 16, "zone": "use2-az1", "start": epoch, "end": epoch or null,
    "type": "capacity-block" or "default", "state": "active"}}``. When left out, ``state`` is active and ``start`` now,
    or an hour before an ``end`` that is past. What is wrong leaves everything as it was.
    """
    for identifier, given in wanted.items():
        _check(identifier, given)
    for identifier, given in wanted.items():
        for (account, region, known), _ in everywhere():
            if known == identifier:
                _reservations.pop_scoped(account, region, known)
        if given is None:
            continue
        speak_for(get_account_id(), _region(given["zone"]))
        _reservations[identifier] = {
            "CapacityReservationId": identifier,
            "OwnerId": get_account_id(),
            "CapacityReservationArn": arn(identifier),
            "InstanceType": given["instance_type"],
            "InstancePlatform": "Linux/UNIX",
            "AvailabilityZone": _zone(given["zone"]),
            "AvailabilityZoneId": given["zone"],
            "Tenancy": "default",
            "TotalInstanceCount": given["count"],
            "EbsOptimized": True,
            "EphemeralStorage": False,
            "StartDate": _start(given),
            "CreateDate": clock.now(),
            "InstanceMatchCriteria": "targeted",
            "EndDateType": "unlimited" if given.get("end") is None else "limited",
            **({} if given.get("end") is None else {"EndDate": given["end"]}),
            "ReservationType": given.get("type", "default"),
            "_state": given.get("state", "active"),
        }
    return shown()


def shown() -> list[Record]:
    """Every reservation of every region, as it was made."""
    return [copy.deepcopy(record) for _, record in everywhere()]


def _check(identifier: str, given: Any) -> None:
    """Raise ``ValueError`` when ``given`` makes no reservation; null makes none and is right."""
    if not identifier.startswith("cr-"):
        raise ValueError(f"{identifier} is no reservation's id: give cr-…")
    if given is None:
        return
    if not isinstance(given, dict):
        raise ValueError(f"{identifier} is {given!r}: give {', '.join(_FIELDS)} as a JSON object, or null to forget it")
    unknown = sorted(given.keys() - set(_FIELDS))
    missing = [name for name in ("instance_type", "count", "zone") if name not in given]
    if unknown or missing:
        raise ValueError(f"{identifier}: give {', '.join(_FIELDS)}; unknown {unknown}, missing {missing}")
    count = given["count"]
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"{identifier}: count is {count!r}: give how many instances are reserved, 0 or more")
    kind = given.get("type", "default")
    if kind not in _TYPES:
        raise ValueError(f"{identifier}: type is {kind!r}: give {' or '.join(_TYPES)}")
    if kind == "capacity-block" and given.get("end") is None:
        raise ValueError(f"{identifier}: a capacity block has an end")
    for name in ("start", "end"):
        moment = given.get(name)
        if moment is not None and (
            isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 <= moment <= _LATEST
        ):
            raise ValueError(f"{identifier}: {name} is {moment!r}: give epoch seconds")
    if given.get("end") is not None and given["end"] <= _start(given):
        raise ValueError(f"{identifier}: end is {given['end']}, not after start, {_start(given)}: give a later end")
    _region(given["zone"])


def _start(given: dict[str, Any]) -> float:
    if given.get("start") is not None:
        return float(given["start"])
    now = clock.now()
    end = given.get("end")
    return now if end is None or end > now else float(end) - _HOUR


def _region(zone_id: str) -> str:
    """The region of a zone id: use2-az1 is in us-east-2."""
    prefix, _, number = str(zone_id).partition("-az")
    for region in botocore.session.get_session().get_available_regions("ec2"):
        if number.isdigit() and _prefix(region) == prefix:
            return str(region)
    raise ValueError(f"zone is {zone_id!r}: give a zone id such as use1-az1")


def _zone(zone_id: str) -> str:
    """The zone's name: az1 is the one with letter a, as for subnets."""
    return f"{get_region()}{chr(ord('a') + int(zone_id.rpartition('-az')[2]) - 1)}"


def _seen(record: Record) -> Record:
    return record | {"State": state(record), "AvailableInstanceCount": left(record)}


def described() -> list[Record]:
    """The region's reservations as DescribeCapacityReservations shows them."""
    return [_seen(record) for record in _reservations.values()]


def find(identifier: str) -> Record | None:
    found: Record | None = _reservations.get(identifier)
    return found


def everywhere() -> list[tuple[tuple[str, str, str], Record]]:
    return list(_reservations.all_items())


def members(group_arn: str) -> list[str]:
    """The ids of the reservations in a resource group."""
    return [each.rpartition("/")[2] for each in _members.get(group_arn.rpartition("/")[2], [])]


def state(record: Record) -> str:
    """Of a reservation that would be active: scheduled before its start, expired after its end."""
    if record["_state"] == "active":
        if clock.now() < record["StartDate"]:
            return "scheduled"
        if "EndDate" in record and clock.now() >= record["EndDate"]:
            return "expired"
    return str(record["_state"])


def left(record: Record) -> int:
    """How many more instances it holds."""
    if state(record) != "active":
        return 0
    identifier = record["CapacityReservationId"]
    used = sum(each.get("CapacityReservationId") == identifier for each in instances.running())
    return int(max(record["TotalInstanceCount"] - used, 0))


def takes(record: Record) -> bool:
    """Whether it takes new instances: a capacity block does not any more in its last half hour."""
    closing = record["ReservationType"] == "capacity-block" and clock.now() >= record["EndDate"] - CLOSES_BEFORE
    return not closing and left(record) > 0


def arn(identifier: str) -> str:
    return f"arn:aws:ec2:{get_region()}:{get_account_id()}:capacity-reservation/{identifier}"


def get_state() -> dict[str, Any]:
    return {"reservations": copy.deepcopy(_reservations)}


def load_persisted_state(saved: dict[str, Any]) -> None:
    _reservations.update(saved.get("reservations", {}))
