"""What a controller sees of its fleet before it decides: groups, instances, launches, reservations. Plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Lifecycle states of an instance that its group still counts (EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling
# instance lifecycle"); the others are on their way out, or in a warm pool.
_PRESENT = ("Pending", "Pending:Wait", "Pending:Proceed", "InService", "EnteringStandby", "Standby")
_ENDED = ("Successful", "Failed", "Cancelled")


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


def group(description: Mapping[str, Any], activities: Iterable[Mapping[str, Any]]) -> Group:
    """A group as DescribeAutoScalingGroups and DescribeScalingActivities give it."""
    return Group(
        desired=description["DesiredCapacity"],
        least=description["MinSize"],
        most=description["MaxSize"],
        instances=tuple(
            Instance(one["InstanceId"], one["LifecycleState"] == "InService" and one["HealthStatus"] == "Healthy")
            for one in description.get("Instances", ())
            if one["LifecycleState"] in _PRESENT
        ),
        launches=tuple(_launch(one) for one in activities if _is_ended_launch(one)),
    )


def reservation(description: Mapping[str, Any]) -> Reservation:
    """A reservation as DescribeCapacityReservations gives it."""
    end = description.get("EndDate")
    return Reservation(
        active=description["State"] == "active",
        total=description["TotalInstanceCount"],
        available=description["AvailableInstanceCount"],
        end=_seconds(end) if end else None,
    )


def _is_ended_launch(activity: Mapping[str, Any]) -> bool:
    return activity["StatusCode"] in _ENDED and activity["Description"].startswith("Launching")


def _launch(activity: Mapping[str, Any]) -> Launch:
    message = activity.get("StatusMessage") or activity["Description"]
    return Launch(_seconds(activity.get("EndTime") or activity["StartTime"]), activity["StatusCode"], message)


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
