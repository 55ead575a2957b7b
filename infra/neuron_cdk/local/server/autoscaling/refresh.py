"""An instance refresh: the group's instances are replaced, some at a time, by such as are desired, and maybe back."""

from __future__ import annotations

import math

from ministack.services import cloudwatch

from .. import patching
from . import activities, events, launching, lifecycle, refreshing, size, store
from .store import Record
from .turn import Turn

_alarms = patching.original(cloudwatch, "_alarms")

_ALARM_LOOK = 30.0
_PATIENCE = 3600.0
"""Seconds without progress after which a refresh fails."""
_CAUSE = "an instance was taken out of service in response to an instance refresh."
_PREFIX = "EC2 Auto Scaling Instance Refresh"


def step(group: Record, turn: Turn) -> None:
    refresh = refreshing.active(group)
    if refresh is None or "InstanceRefresh" in store.suspended(group):
        return
    status = refresh["Status"]
    if status == "Pending":
        _begin(group, refresh, turn)
    elif status == "Cancelling":
        _cancel(group, refresh, turn)
    elif status != "RollbackInProgress" and _alarmed(refresh, turn):
        fail(group, refresh, f"Alarm(s) {', '.join(_in_alarm(refresh))} went into the ALARM state", turn.now)
        turn.changed = True
    elif status == "Baking":
        if turn.due(refresh["_pause"]):
            _succeed(group, refresh, turn)
    else:
        _roll(group, refresh, turn)


def to_replace(group: Record, refresh: Record) -> list[str]:
    """The instances to replace: all, or with skip matching those that are not as desired."""
    wanted = refreshing.configuration(group)
    there = [each for each in size.members(group) if _replaceable(each, refresh)]
    if refresh["Preferences"].get("SkipMatching"):
        named = launching.named(launching.template(launching.specification(wanted)))
        there = [each for each in there if each["LaunchTemplate"] != named]
    return [each["InstanceId"] for each in there]


def fail(group: Record, refresh: Record, reason: str, now: float) -> None:
    """End the refresh as failed, or go back to what was before when it is to roll back by itself."""
    if refresh["Status"] == "RollbackInProgress":
        _end(group, refresh, "RollbackFailed", f"{_PREFIX} Rollback Failed", now, reason)
    elif refresh["Preferences"].get("AutoRollback"):
        go_back(group, refresh, reason, now)
    else:
        _end(group, refresh, "Failed", f"{_PREFIX} Failed", now, reason)


def go_back(group: Record, refresh: Record, reason: str, now: float) -> None:
    """Replace what was replaced by such as the group's configuration, which a refresh changes at its end, has it."""
    kept = set(refresh["_old"]) | set(refresh["_kept"])
    stay(group)
    refresh["RollbackDetails"] = {
        "RollbackReason": reason,
        "RollbackStartTime": now,
        "PercentageCompleteOnRollback": refresh["PercentageComplete"],
        "InstancesToUpdateOnRollback": refresh["InstancesToUpdate"],
    }
    refresh.update(Status="RollbackInProgress", StatusReason=reason, _pause=None, _moved=now)
    refresh["_old"] = [each["InstanceId"] for each in size.members(group) if each["InstanceId"] not in kept]
    refresh["_kept"] = sorted(kept)
    refresh["_total"] = len(refresh["_old"])
    _tell(group, refresh, f"{_PREFIX} Rollback Started")


def stay(group: Record) -> None:
    """No instance has to leave for the refresh any more."""
    for instance in group["_instances"].values():
        if instance.get("_leave", {}).get("cause") == _CAUSE:
            del instance["_leave"]


def _replaceable(instance: Record, refresh: Record) -> bool:
    ignored = refresh["Preferences"].get("ScaleInProtectedInstances") == "Ignore"
    return not (ignored and instance["ProtectedFromScaleIn"])


def _begin(group: Record, refresh: Record, turn: Turn) -> None:
    refresh["Status"] = "InProgress"
    refresh["_old"] = to_replace(group, refresh)
    refresh["_kept"] = [each["InstanceId"] for each in size.members(group) if each["InstanceId"] not in refresh["_old"]]
    refresh.update(_total=len(refresh["_old"]), InstancesToUpdate=len(refresh["_old"]), _moved=turn.now)
    _tell(group, refresh, f"{_PREFIX} Started")
    turn.changed = True


def _cancel(group: Record, refresh: Record, turn: Turn) -> None:
    moving = any(each["LifecycleState"] != "InService" for each in group["_instances"].values())
    if not (moving and refresh["_waits"]):
        _end(group, refresh, "Cancelled", f"{_PREFIX} Cancelled", turn.now, "Cancelled due to user request.")
        turn.changed = True


def _roll(group: Record, refresh: Record, turn: Turn) -> None:
    there = size.members(group)
    ids = {each["InstanceId"] for each in there}
    refresh["_old"] = [each for each in refresh["_old"] if each in ids]
    fresh = [each for each in there if each["InstanceId"] not in {*refresh["_old"], *refresh["_kept"]}]
    unready = sum(not (each["LifecycleState"] == "InService" and turn.due(each["_warm"])) for each in fresh)
    unready += max(group["DesiredCapacity"] - len(there), 0)
    done = max(refresh["_total"] - len(refresh["_old"]) - unready, 0)
    _count(refresh, done, turn)
    if done >= refresh["_total"]:
        _finish(group, refresh, turn)
    elif _paused(group, refresh, done, turn):
        return
    elif turn.due(refresh["_moved"] + _PATIENCE):
        last = next((each for each in group["_activities"] if each["StatusCode"] == "Failed"), None)
        why = f": {last['StatusMessage']}" if last else ""
        fail(group, refresh, f"The instance refresh made no progress for an hour{why}", turn.now)
        turn.changed = True
    else:
        _replace(group, refresh, there, unready, turn)


def _count(refresh: Record, done: int, turn: Turn) -> None:
    share = done / refresh["_total"] if refresh["_total"] else 1.0
    if done != refresh.get("_done"):
        refresh.update(_done=done, _moved=turn.now)
        turn.changed = True
    if refresh["Status"] == "RollbackInProgress":
        before = refresh["RollbackDetails"]["PercentageCompleteOnRollback"]
        refresh["PercentageComplete"] = math.ceil(before * (1 - share))
    else:
        refresh.update(PercentageComplete=math.floor(100 * share), InstancesToUpdate=max(refresh["_total"] - done, 0))


def _paused(group: Record, refresh: Record, done: int, turn: Turn) -> bool:
    """Whether it waits at a checkpoint; one that has just been reached is told of."""
    if refresh["_pause"] is not None:
        if not turn.due(refresh["_pause"]):
            return True
        refresh["_pause"] = None
        refresh["_moved"] = turn.now
    percent = _checkpoint(refresh)
    if percent is None or done < math.ceil(refresh["_total"] * percent / 100):
        return False
    _reach(group, refresh, percent)
    refresh["_pause"] = turn.now + refresh["Preferences"]["CheckpointDelay"]
    turn.changed = True
    return True


def _checkpoint(refresh: Record) -> int | None:
    """The checkpoint it goes to; a rollback has none."""
    percentages = refresh["Preferences"].get("CheckpointPercentages") or []
    reached = refresh["_reached"]
    if refresh["Status"] == "RollbackInProgress" or reached >= len(percentages):
        return None
    return int(percentages[reached])


def _reach(group: Record, refresh: Record, percent: int) -> None:
    refresh["_reached"] += 1
    delay = refresh["Preferences"]["CheckpointDelay"]
    more = {"CheckpointPercentage": str(percent), "CheckpointDelay": str(delay)}
    _tell(group, refresh, f"{_PREFIX} Checkpoint Reached", more)


def _replace(group: Record, refresh: Record, there: list[Record], unready: int, turn: Turn) -> None:
    """Let as many old instances go as the healthy percentages and the next checkpoint allow."""
    desired, given = group["DesiredCapacity"], refresh["Preferences"]
    least, most = given["MinHealthyPercentage"], given.get("MaxHealthyPercentage")
    percent = _checkpoint(refresh)
    until = refresh["_total"] if percent is None else math.ceil(refresh["_total"] * percent / 100)
    begun = refresh["_total"] - len(refresh["_old"])
    marked = [each for each in there if each.get("_leave", {}).get("cause") == _CAUSE]
    if most is not None and (most > 100 or least >= 100):
        room = max(math.floor(desired * (most - 100) / 100), 1) - len(marked) - unready
        ahead = True
    else:
        healthy = sum(each["LifecycleState"] == "InService" for each in there) - unready
        room = max(len(there) - unready - math.ceil(desired * least / 100), 0 if unready or marked else 1)
        room = min(room, healthy)
        ahead = False
    allowed = min(room, until - begun - len(marked))
    ids = [each for each in refresh["_old"] if each not in {one["InstanceId"] for one in marked}]
    for identifier in ids[: max(allowed, 0)]:
        instance = group["_instances"][identifier]
        if instance["ProtectedFromScaleIn"] and given.get("ScaleInProtectedInstances") != "Refresh":
            continue
        if ahead:
            instance["_leave"] = {"cause": _CAUSE, "ahead": True}
        else:
            lifecycle.terminate(group, instance, activities.at(_CAUSE))
        turn.changed = True


def _finish(group: Record, refresh: Record, turn: Turn) -> None:
    percent = _checkpoint(refresh)
    while percent is not None:
        _reach(group, refresh, percent)
        percent = _checkpoint(refresh)
    turn.changed = True
    bake = refresh["Preferences"].get("BakeTime", 0)
    if refresh["Status"] == "InProgress" and bake > 0:
        refresh.update(Status="Baking", _pause=turn.now + bake)
        _tell(group, refresh, f"{_PREFIX} Started Baking")
    elif refresh["Status"] == "RollbackInProgress":
        _end(group, refresh, "RollbackSuccessful", f"{_PREFIX} Rollback Succeeded", turn.now)
    else:
        _succeed(group, refresh, turn)


def _succeed(group: Record, refresh: Record, turn: Turn) -> None:
    """The group is what was desired from now on; its warm pool follows."""
    desired = refresh.get("DesiredConfiguration")
    if desired:
        for name in ("LaunchTemplate", "MixedInstancesPolicy"):
            group.pop(name, None)
        group.update(desired)
    named = launching.named(launching.template(launching.specification(group)))
    for instance in list(group["_instances"].values()):
        if instance["_in_pool"] and instance["LaunchTemplate"] != named:
            lifecycle.terminate(group, instance, activities.at(_CAUSE))
    _end(group, refresh, "Successful", f"{_PREFIX} Succeeded", turn.now)
    turn.changed = True


def _end(group: Record, refresh: Record, status: str, event: str, now: float, reason: str | None = None) -> None:
    stay(group)
    refresh.update(Status=status, EndTime=now)
    if reason:
        refresh["StatusReason"] = reason
    _tell(group, refresh, event)


def _alarmed(refresh: Record, turn: Turn) -> bool:
    names = refresh["Preferences"].get("AlarmSpecification", {}).get("Alarms")
    if not names:
        return False
    turn.due(turn.now + _ALARM_LOOK)
    return bool(_in_alarm(refresh))


def _in_alarm(refresh: Record) -> list[str]:
    names = refresh["Preferences"]["AlarmSpecification"]["Alarms"]
    return [name for name in names if (_alarms.get(name) or {}).get("StateValue") == "ALARM"]


def _tell(group: Record, refresh: Record, event: str, more: Record | None = None) -> None:
    detail = {
        "InstanceRefreshId": refresh["InstanceRefreshId"],
        "AutoScalingGroupName": group["AutoScalingGroupName"],
        **(more or {}),
    }
    events.of_group(group, event, detail)
