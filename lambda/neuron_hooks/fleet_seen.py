"""What a controller sees of its fleet before it decides: groups, instances, launches, reservations. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that a group counts: neither on its way out nor waiting in a warm pool.

    :param serving: in service and healthy.
    """

    id: str
    serving: bool


@dataclass(frozen=True, slots=True)
class Launch:
    """The end of a launch: a scaling activity's ``StatusCode`` and message, and when it ended, in seconds."""

    at: int
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group. ``least`` and ``most`` are its own limits; ``launches`` are its latest, in any order."""

    desired: int
    least: int
    most: int
    instances: tuple[Instance, ...] = ()
    launches: tuple[Launch, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """A capacity reservation or capacity block. ``end`` is ``None`` when it has none."""

    active: bool
    total: int
    available: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """``groups`` by pool name, ``reservations`` by id; a reservation that is not there could not be described."""

    groups: Mapping[str, Group]
    reservations: Mapping[str, Reservation]
