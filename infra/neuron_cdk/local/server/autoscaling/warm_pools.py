"""The operations on warm pools, and what they refuse.

The user guide ("Limitations" of warm pools) refuses spot instances and weighted types; a mixed instances policy of
on-demand instances is allowed since November 2025.
"""

from __future__ import annotations

from typing import Any

from ..api import ServiceError
from . import engine, instances, launching, store
from .store import Record


def put(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    if launching.is_spot(group):
        raise ServiceError(
            "ValidationError", "You can't add a warm pool to an Auto Scaling group that launches Spot Instances."
        )
    overrides = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", [])
    if any("WeightedCapacity" in each for each in overrides):
        raise ServiceError(
            "ValidationError", "You can't add a warm pool to an Auto Scaling group that uses instance weighting."
        )
    given = {name: value for name, value in request.items() if name != "AutoScalingGroupName"}
    least, most = given.get("MinSize", 0), given.get("MaxGroupPreparedCapacity", -1)
    if least < 0 or most < -1:
        raise ServiceError("ValidationError", "MinSize must be 0 or more, MaxGroupPreparedCapacity -1 or more.")
    group["WarmPoolConfiguration"] = {"MinSize": 0, "PoolState": "Stopped"} | given
    engine.soon()
    return {}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    found = [each for each in group["_instances"].values() if each["_in_pool"]]
    records, token = store.page(found, request)
    return {"WarmPoolConfiguration": group.get("WarmPoolConfiguration"), "Instances": records, "NextToken": token}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    if "WarmPoolConfiguration" not in group:
        raise ServiceError(
            "ValidationError", f"No warm pool found for Auto Scaling group {group['AutoScalingGroupName']}"
        )
    if request.get("ForceDelete"):
        _empty(group)
        del group["WarmPoolConfiguration"]
    else:
        group["WarmPoolConfiguration"]["Status"] = "PendingDelete"
    engine.soon()
    return {}


def _empty(group: Record) -> None:
    for identifier in [each["InstanceId"] for each in group["_instances"].values() if each["_in_pool"]]:
        instances.terminate(identifier)
        del group["_instances"][identifier]
