"""The operations on instance refreshes, and what they refuse."""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import Any

from ..api import ServiceError
from ..clock import clock
from . import engine, launching, refresh, refreshing, store
from .store import Record

_KEPT = 50
_CHECKPOINT_SECONDS = 3600


def start(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    if refreshing.active(group):
        raise ServiceError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
    preferences = dict(request.get("Preferences") or {})
    _check(preferences)
    desired = request.get("DesiredConfiguration")
    if desired:
        desired = _desired(desired)
    if preferences.get("AutoRollback"):
        _check_way_back(group, desired, "ValidationError")
    made = {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": group["AutoScalingGroupName"],
        "Status": "Pending",
        "StartTime": clock.now(),
        "PercentageComplete": 0,
        "InstancesToUpdate": len(group["_instances"]),
        "Strategy": request.get("Strategy", "Rolling"),
        "Preferences": {"SkipMatching": False, "AutoRollback": False} | _bounds(group) | preferences,
        **({"DesiredConfiguration": desired} if desired else {}),
        "_reached": 0,
        "_pause": None,
        "_old": [],
        "_kept": [],
    }
    group["_refreshes"].insert(0, made)
    del group["_refreshes"][_KEPT:]
    engine.soon()
    return {"InstanceRefreshId": made["InstanceRefreshId"]}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    wanted = request.get("InstanceRefreshIds")
    found = [each for each in group["_refreshes"] if not wanted or each["InstanceRefreshId"] in wanted]
    records, token = store.page(found, request)
    return {"InstanceRefreshes": records, "NextToken": token}


def cancel(request: dict[str, Any]) -> dict[str, Any]:
    _, active = _active(request)
    active.update(
        Status="Cancelling",
        StatusReason="Cancelled due to user request.",
        _waits=request.get("WaitForTransitioningInstances", True),
    )
    engine.soon()
    return {"InstanceRefreshId": active["InstanceRefreshId"]}


def roll_back(request: dict[str, Any]) -> dict[str, Any]:
    group, active = _active(request)
    if active["Status"] == "RollbackInProgress":
        raise ServiceError("InstanceRefreshInProgress", "The instance refresh is being rolled back already.")
    _check_way_back(group, active.get("DesiredConfiguration"), "IrreversibleInstanceRefresh")
    refresh.go_back(group, active, "Rolled back due to user request.", clock.now())
    engine.soon()
    return {"InstanceRefreshId": active["InstanceRefreshId"]}


def _bounds(group: Record) -> dict[str, int]:
    """The healthy percentages of a refresh that says nothing of them: of the maintenance policy, or 90 and no more."""
    policy = group.get("InstanceMaintenancePolicy", {})
    told = {name: value for name, value in policy.items() if value >= 0}
    return {"MinHealthyPercentage": 90} | told


def _active(request: dict[str, Any]) -> tuple[Record, Record]:
    group = store.group(request["AutoScalingGroupName"])
    active = refreshing.active(group)
    if active is None:
        raise ServiceError(
            "ActiveInstanceRefreshNotFound",
            f"No in progress or pending Instance Refresh found for Auto Scaling group {group['AutoScalingGroupName']}",
        )
    return group, active


def _check(preferences: dict[str, Any]) -> None:
    percentages = preferences.get("CheckpointPercentages")
    if percentages:
        if any(first >= second for first, second in pairwise(percentages)):
            raise ServiceError("ValidationError", "CheckpointPercentages must be unique and in ascending order.")
        preferences.setdefault("CheckpointDelay", _CHECKPOINT_SECONDS)
    elif "CheckpointDelay" in preferences:
        raise ServiceError("ValidationError", "CheckpointPercentages must be specified when CheckpointDelay is.")
    most, least = preferences.get("MaxHealthyPercentage"), preferences.get("MinHealthyPercentage")
    if most is not None and (least is None or most - least > 100):
        raise ServiceError(
            "ValidationError",
            "MaxHealthyPercentage needs MinHealthyPercentage, and the difference between them cannot exceed 100.",
        )


def _desired(wanted: Record) -> Record:
    """A desired configuration with its template's id, name and version."""
    if ("LaunchTemplate" in wanted) == ("MixedInstancesPolicy" in wanted):
        raise ServiceError(
            "ValidationError", "A desired configuration has either a LaunchTemplate or a MixedInstancesPolicy."
        )
    return launching.whole(wanted)


def _check_way_back(group: Record, desired: Record | None, code: str) -> None:
    """A rollback needs something to go back from, and a numbered version with an image id to go back to."""
    if not desired:
        raise ServiceError(code, "A rollback needs a desired configuration, and the instance refresh has none.")
    for configuration in (desired, group):
        named = launching.specification(configuration)
        if named["Version"] in ("$Latest", "$Default"):
            raise ServiceError(
                code, f"A rollback is not supported with the launch template version {named['Version']}: give a number."
            )
        image = str(launching.template(named)["LaunchTemplateData"].get("ImageId", ""))
        if image.startswith("resolve:ssm:"):
            raise ServiceError(
                code, f"A rollback is not supported with a Systems Manager parameter as image id, which is {image}."
            )
