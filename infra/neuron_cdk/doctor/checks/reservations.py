"""Capacity reservations and blocks: there, usable, of the fleet's type, in its zone, large enough, not over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from ...spec import CapacityBlock, Deployment, Fleet, ReservedCapacity
from ...spec.findings import Problem
from ...spec.source import Pointer
from ..aws import Aws, Reservation
from . import places

ENDS_SOON = timedelta(days=3)
_USABLE = ("active", "scheduled", "pending", "payment-pending", "assessing", "delayed")
_PLATFORM = "Linux/UNIX"  # what our AMIs are; EC2 starts nothing else in it

_now = partial(datetime.now, UTC)


def hold_what_is_asked(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    wanted = {id_ for fleet in deployment.fleets.values() for _, id_, _ in _entries("", fleet)}
    if not wanted:
        return
    known = places.ids(aws.zones())
    found = {id_: aws.reservation(id_) for id_ in sorted(wanted)}
    for name, fleet in deployment.fleets.items():
        here = places.of_fleet(deployment, fleet, known)
        for at, id_, block in _entries(name, fleet):
            yield from _usable(at, found[id_], block=block)
            if (reservation := found[id_]) is not None:
                yield from _fits(at, reservation, fleet, here, known.get(reservation.zone, reservation.zone))
        yield from _enough(name, fleet, found)


def _entries(name: str, fleet: Fleet) -> Iterator[tuple[Pointer, str, bool]]:
    """Where, which, and whether it should be a block."""
    for index, entry in enumerate(fleet.capacity):
        if isinstance(entry, ReservedCapacity | CapacityBlock):
            at: Pointer = ("fleets", name, "capacity", index, "reservation")
            yield at, entry.reservation, isinstance(entry, CapacityBlock)


def _usable(at: Pointer, reservation: Reservation | None, *, block: bool) -> Iterator[Problem]:
    if reservation is None:
        yield Problem(
            "NCDK-DOCTOR-017",
            at,
            "there is no such capacity reservation in this account and region, and none is shared with it",
            fix="buy or create one, have it shared, or remove the entry",
        )
        return
    if reservation.block != block:
        kinds = ("reservation", "capacity-block")
        yield Problem(
            "NCDK-DOCTOR-018",
            at,
            f"this is a {kinds[reservation.block]}, not a {kinds[block]}",
            fix=f"write kind: {kinds[reservation.block]}",
        )
    if reservation.state not in _USABLE:
        yield Problem(
            "NCDK-DOCTOR-018",
            at,
            f"the capacity reservation is {reservation.state}",
            "active or scheduled",
            "remove it",
        )
        return
    if reservation.state != "active":
        dates = " to ".join(_shown(date) for date in (reservation.starts, reservation.ends) if date)
        yield Problem("NCDK-DOCTOR-023", at, f"it is {reservation.state}" + (f": {dates}" if dates else ""))
    if reservation.ends and reservation.ends - _now() < ENDS_SOON:
        yield Problem(
            "NCDK-DOCTOR-022",
            at,
            f"it ends at {_shown(reservation.ends)}",
            fix="extend it, or list what the fleet falls back to after it",
        )


def _fits(at: Pointer, reservation: Reservation, fleet: Fleet, here: tuple[str, ...], zone: str) -> Iterator[Problem]:
    if reservation.instance_type not in fleet.instance_types:
        yield Problem(
            "NCDK-DOCTOR-019",
            at,
            f"it reserves {reservation.instance_type}, and the fleet takes {', '.join(fleet.instance_types)}",
        )
    if not reservation.platform.startswith(_PLATFORM):
        yield Problem("NCDK-DOCTOR-019", at, f"it is for {reservation.platform}", _PLATFORM)
    if here and zone not in here:
        yield Problem(
            "NCDK-DOCTOR-020",
            at,
            f"it is in {zone}, and the fleet in {', '.join(here)}",
            fix=f"write zone: {zone}",
        )


def _enough(name: str, fleet: Fleet, found: Mapping[str, Reservation | None]) -> Iterator[Problem]:
    """A training fleet is whole in one kind of capacity or nowhere; another may be spread, if it has more than this."""
    entries = list(_entries(name, fleet))
    there = [reservation for _, id_, _ in entries if (reservation := found[id_]) is not None]
    held = sum(reservation.count for reservation in there)
    if there and held < fleet.size.max and (fleet.purpose == "training" or len(entries) == len(fleet.capacity)):
        message = f"the fleet's reservations hold {held} instances, and it may have {fleet.size.max}"
        yield Problem(
            "NCDK-DOCTOR-021",
            ("fleets", name, "size", "max"),
            message,
            fix=f"lower max to {held}, or enlarge the reservations",
        )


def _shown(date: datetime) -> str:
    return date.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
