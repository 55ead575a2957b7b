"""Scaling activities, worded as Application Auto Scaling words them."""

from __future__ import annotations

import uuid
from typing import Any

from ..clock import clock
from . import store
from .store import Record

_KEPT = 1000


def begin(target: Record, description: str, cause: str, message: str, **more: Any) -> Record:
    """Note an activity that is under way, or that ended at once where ``more`` says so."""
    activity = {
        "ActivityId": str(uuid.uuid4()),
        **{member: target[member] for member in ("ServiceNamespace", "ResourceId", "ScalableDimension")},
        "Description": description,
        "Cause": cause,
        "StartTime": clock.now(),
        "StatusCode": "InProgress",
        "StatusMessage": message,
    } | more
    if activity["StatusCode"] != "InProgress":
        activity["EndTime"] = activity["StartTime"]
    store.activities[activity["ActivityId"]] = activity
    for old in list(store.activities.keys())[:-_KEPT]:
        store.activities.pop(old, None)
    return activity


def end(activity: Record, code: str, message: str) -> None:
    activity.update(StatusCode=code, StatusMessage=message, EndTime=clock.now())


def not_scaled(target: Record, cause: str, description: str, code: str, current: int) -> None:
    """Note once why a target was left as it is; again when something else has happened since."""
    before = next((one for one in reversed(list(store.activities.values())) if _of(one, target)), None)
    reason: Record = {"Code": code, "CurrentCapacity": current}
    reason |= {"MaxCapacity": target["MaxCapacity"]} if code == "AlreadyAtMaxCapacity" else {}
    reason |= {"MinCapacity": target["MinCapacity"]} if code == "AlreadyAtMinCapacity" else {}
    if before is None or before.get("NotScaledReasons") != [reason] or before["Cause"] != cause:
        message = f"The scalable target was left at {current}."
        begin(target, description, cause, message, StatusCode="Unfulfilled", NotScaledReasons=[reason])


def describe(request: Record) -> Record:
    """DescribeScalingActivities, whole, newest first."""
    found = [
        activity
        for activity in reversed(list(store.activities.values()))
        if request.get("IncludeNotScaledActivities") or "NotScaledReasons" not in activity
    ]
    return {"ScalingActivities": store.described(found, request)}


def _of(activity: Record, target: Record) -> bool:
    return store.key_of(activity) == store.key_of(target)
