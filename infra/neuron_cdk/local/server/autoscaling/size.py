"""As many instances as desired: launches what is missing, terminates what is too much, replaces what has to go."""

from __future__ import annotations

import math

from ..api import ServiceError
from . import activities, failures, launching, lifecycle, refreshing, store, warm_pool
from .store import Record
from .turn import Turn

_AHEAD = 0.1
"""How far above its size a group goes to replace ahead of time, without an instance maintenance policy."""


def step(group: Record, turn: Turn) -> None:
    _mark(group, turn)
    _release(group, turn)
    there = members(group)
    wanted = group["DesiredCapacity"] + _ahead(group)
    if len(there) < wanted and "Launch" not in store.suspended(group):
        _launch(group, turn, len(there), wanted)
    elif len(there) > wanted and "Terminate" not in store.suspended(group):
        _shrink(group, turn, there, len(there) - wanted)
    elif not _moving(group):
        group["_causes"].clear()
        group["_replaced"] = 0


def members(group: Record) -> list[Record]:
    """The instances that count for the group's size."""
    return [each for each in group["_instances"].values() if lifecycle.counts(each)]


def resize(group: Record, desired: int, who: str) -> None:
    """A new desired capacity, at the instigation of ``who``. What failed launches wait for is forgotten."""
    before = group["DesiredCapacity"]
    if desired != before:
        group["_causes"].append(activities.at(f"{who} changing the desired capacity from {before} to {desired}."))
        group["_launch"] = {"failures": 0}
    group["DesiredCapacity"] = desired


def _moving(group: Record) -> bool:
    return any(each["LifecycleState"] != "InService" for each in group["_instances"].values())


def _mark(group: Record, turn: Turn) -> None:
    """Say of each instance that has to go why, and whether its successor comes first."""
    for instance in members(group):
        if "_leave" in instance:
            continue
        if instance["HealthStatus"] == "Unhealthy" and "ReplaceUnhealthy" not in store.suspended(group):
            instance["_leave"] = {"cause": instance["_unhealthy"], "ahead": False}
            turn.changed = True
        elif (
            group.get("MaxInstanceLifetime")
            and instance["LifecycleState"] == "InService"
            and turn.due(instance["_launched"] + group["MaxInstanceLifetime"])
        ):
            cause = "an instance was taken out of service in response to the group's maximum instance lifetime."
            instance["_leave"] = {"cause": cause, "ahead": _may_exceed(group)}
            turn.changed = True


def _may_exceed(group: Record) -> bool:
    return bool(group.get("InstanceMaintenancePolicy", {}).get("MaxHealthyPercentage", 100) > 100)


def _ahead(group: Record) -> int:
    """How many instances beyond its size the group may have, for the successors of those that are to go."""
    leaving: int = sum(each.get("_leave", {}).get("ahead", False) for each in members(group))
    most: int = group.get("InstanceMaintenancePolicy", {}).get("MaxHealthyPercentage", -1)
    share = (most - 100) / 100 if most > 100 else _AHEAD
    return int(min(leaving, max(math.floor(group["DesiredCapacity"] * share), 1)))


def _release(group: Record, turn: Turn) -> None:
    """Terminate what has to go, now or when its successor is in service."""
    if "Terminate" in store.suspended(group):
        return
    there = members(group)
    serving = sum(each["LifecycleState"] == "InService" and turn.due(each["_warm"]) for each in there)
    for instance in there:
        leave = instance.get("_leave")
        if leave is None or (leave["ahead"] and serving <= group["DesiredCapacity"]):
            continue
        lifecycle.terminate(group, instance, activities.at(leave["cause"]))
        if leave["ahead"]:
            serving -= 1
        turn.changed = True


def _launch(group: Record, turn: Turn, there: int, wanted: int) -> None:
    state = group["_launch"]
    if state["failures"] and not turn.due(state["retry"]):
        return
    while there < wanted:
        replaced = group["_replaced"]
        if replaced:
            cause = activities.at(
                "an instance was launched in response to an unhealthy instance needing to be replaced."
            )
        else:
            cause = activities.said(
                group,
                "an instance was started in response to a difference between desired and actual capacity, increasing "
                f"the capacity from {there} to {wanted}.",
            )
        turn.changed = True
        try:
            resting = warm_pool.rested(group)
            if resting is not None:
                lifecycle.take_from_pool(group, resting, cause)
                there += 1
                continue
            way, subnet, version = launching.choose(group, refreshing.configuration(group))
        except launching.ShortError as error:
            failures.note(group, cause, str(error), error.subnet)
            turn.due(state["retry"])
            return
        except ServiceError as error:
            failures.note(group, cause, f"{error.message} Launching EC2 instance failed.", "")
            turn.due(state["retry"])
            return
        lifecycle.launch(group, way, subnet, version, cause)
        group["_replaced"] = max(replaced - 1, 0)
        there += 1


def _shrink(group: Record, turn: Turn, there: list[Record], surplus: int) -> None:
    free = [each for each in there if not each["ProtectedFromScaleIn"]]
    for _ in range(min(surplus, len(free))):
        chosen = _victim(group, free)
        free.remove(chosen)
        cause = activities.said(
            group,
            "an instance was taken out of service in response to a difference between desired and actual capacity, "
            f"shrinking the capacity from {len(there)} to {len(there) - 1}.",
        )
        selected = activities.at(f"instance {chosen['InstanceId']} was selected for termination.")
        lifecycle.terminate(group, chosen, f"{cause}  {selected}")
        there = members(group)
        turn.changed = True


def _victim(group: Record, free: list[Record]) -> Record:
    """The one that the group's termination policy takes, of the zone that has most; marked ones first."""
    marked = [each for each in free if "_leave" in each] or free
    policy = (group.get("TerminationPolicies") or ["Default"])[0]
    zones = [each["AvailabilityZone"] for each in free]
    fullest = max(map(zones.count, zones))
    choice = [each for each in marked if zones.count(each["AvailabilityZone"]) == fullest] or marked
    if policy == "NewestInstance":
        return max(choice, key=lambda each: each["_launched"])
    if policy in ("OldestLaunchTemplate", "Default"):
        oldest = min(int(each["LaunchTemplate"]["Version"]) for each in choice)
        choice = [each for each in choice if int(each["LaunchTemplate"]["Version"]) == oldest]
    return min(choice, key=lambda each: each["_launched"])
