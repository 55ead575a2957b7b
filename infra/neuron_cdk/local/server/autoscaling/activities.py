"""Scaling activities: what Auto Scaling did, or tried to, and why, in AWS's words."""

from __future__ import annotations

import json
import uuid

from ..clock import clock, iso
from .store import Record

_KEPT = 500


def begin(group: Record, description: str, cause: str, *, subnet: str = "", zone: str = "") -> Record:
    """A new activity of the group, under way."""
    activity = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group["AutoScalingGroupName"],
        "AutoScalingGroupARN": group["AutoScalingGroupARN"],
        "Description": description,
        "Cause": cause[:1023],
        "StartTime": clock.now(),
        "StatusCode": "InProgress",
        "Progress": 0,
        "Details": json.dumps(
            {"Subnet ID": subnet, "Availability Zone": zone} if subnet else {"Availability Zone": zone}
        ),
    }
    group["_activities"].insert(0, activity)
    del group["_activities"][_KEPT:]
    return activity


def find(group: Record, identifier: str | None) -> Record | None:
    return next((each for each in group["_activities"] if each["ActivityId"] == identifier), None)


def end(activity: Record, status: str = "Successful", message: str = "") -> None:
    """Successful, Failed or Cancelled; a failure's message goes into the description, as AWS has it."""
    activity.update(EndTime=clock.now(), StatusCode=status, Progress=100)
    if message:
        activity["StatusMessage"] = message[:255]
        activity["Description"] += f".  Status Reason: {message}"


def said(group: Record, sentence: str) -> str:
    """A cause: what came before (a request, a schedule), then ``sentence``, each with its time."""
    return "  ".join([*group["_causes"], at(sentence)])


def at(sentence: str) -> str:
    return f"At {iso(clock.now())} {sentence}"
