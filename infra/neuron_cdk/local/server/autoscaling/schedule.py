"""Scheduled actions act: a group gets their sizes at a moment, once or again and again, by the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ..api import ServiceError
from . import cron, size, store
from .store import Record
from .turn import Turn


def step(group: Record, turn: Turn) -> None:
    if "ScheduledActions" in store.suspended(group):
        return
    for action in list(group["_scheduled"].values()):
        if turn.due(action["_next"]):
            _act(group, action)
            turn.changed = True
            action["_next"] = recurs(action, turn.now) if "Recurrence" in action else None
            if action["_next"] is None:
                del group["_scheduled"][action["ScheduledActionName"]]


def _act(group: Record, action: Record) -> None:
    sizes = group | action
    least, most, desired = (int(sizes[name]) for name in ("MinSize", "MaxSize", "DesiredCapacity"))
    group.update(MinSize=least, MaxSize=most)
    size.resize(
        group,
        min(max(desired, least), most),
        f"a scheduled action update of AutoScalingGroup constraints to min: {least}, max: {most}, desired: {desired}",
    )


def recurs(action: Record, after: float) -> float | None:
    """The next moment after ``after``, not before its start; None when its end comes first."""
    zone = ZoneInfo(action["TimeZone"]) if action.get("TimeZone") else UTC
    after = max(after, action.get("StartTime", after) - 60)
    try:
        moment = cron.following(action["Recurrence"], datetime.fromtimestamp(after, zone)).timestamp()
    except ValueError as error:
        raise ServiceError(
            "ValidationError", f"Given recurrence string: {action['Recurrence']} is invalid: {error}"
        ) from error
    return None if moment > action.get("EndTime", moment) else moment
