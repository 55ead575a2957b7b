"""The operations on scheduled actions."""

from __future__ import annotations

import uuid
from typing import Any

from ministack.core.responses import get_account_id, get_region

from ..api import ServiceError
from ..clock import clock
from . import engine, schedule, store


def put(request: dict[str, Any]) -> dict[str, Any]:
    """PutScheduledUpdateGroupAction."""
    group = store.group(request["AutoScalingGroupName"])
    given = dict(request)
    moment = given.pop("Time", None)
    if moment is not None:
        given.setdefault("StartTime", moment)
    if not {"MinSize", "MaxSize", "DesiredCapacity"} & given.keys():
        raise ServiceError(
            "ValidationError", "At least one of MinSize, MaxSize or DesiredCapacity must be specified in the request."
        )
    if given.get("StartTime", clock.now()) < clock.now() and "Recurrence" not in given:
        raise ServiceError("ValidationError", "Given start time is in the past.")
    name = given["ScheduledActionName"]
    present = group["_scheduled"].get(name, {})
    arn = present.get("ScheduledActionARN") or (
        f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scheduledUpdateGroupAction:{uuid.uuid4()}:"
        f"autoScalingGroupName/{group['AutoScalingGroupName']}:scheduledActionName/{name}"
    )
    action = given | {"ScheduledActionARN": arn}
    if "Recurrence" in action:
        action["_next"] = schedule.recurs(action, clock.now())
    elif "StartTime" in action:
        action["_next"] = action["StartTime"]
    else:
        raise ServiceError("ValidationError", "Either a start time or a recurrence must be specified.")
    group["_scheduled"][name] = action
    engine.soon()
    return {}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    if group["_scheduled"].pop(request["ScheduledActionName"], None) is None:
        raise ServiceError("ValidationError", f"Scheduled action name not found - {request['ScheduledActionName']}")
    return {}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    wanted = request.get("AutoScalingGroupName")
    found = [
        action | ({"Time": action["StartTime"]} if "StartTime" in action else {})
        for group in store.groups.values()
        if wanted in (None, group["AutoScalingGroupName"])
        for action in group["_scheduled"].values()
        if not request.get("ScheduledActionNames") or action["ScheduledActionName"] in request["ScheduledActionNames"]
    ]
    records, token = store.page(found, request)
    return {"ScheduledUpdateGroupActions": records, "NextToken": token}
