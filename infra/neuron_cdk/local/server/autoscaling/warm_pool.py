"""A warm pool: instances that wait, stopped, until their group needs them."""

from __future__ import annotations

from ..api import ServiceError
from . import activities, capacity, failures, instances, launching, lifecycle, refreshing, store
from .store import Record
from .turn import Turn

_RESTING = ("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated")


def step(group: Record, turn: Turn) -> None:
    """Keep as many as the pool is to have; when it is to go, empty it."""
    pool = group.get("WarmPoolConfiguration")
    if pool is None:
        return
    there = [
        each
        for each in group["_instances"].values()
        if each["_in_pool"] and "Terminating" not in each["LifecycleState"]
    ]
    leaving = pool.get("Status") == "PendingDelete"
    wanted = 0 if leaving else _size(group, pool)
    if leaving and not any(each["_in_pool"] for each in group["_instances"].values()):
        del group["WarmPoolConfiguration"]
        turn.changed = True
    elif len(there) > wanted:
        cause = activities.at("an instance was taken out of the warm pool because it is larger than it is to be.")
        lifecycle.terminate(group, there[-1], cause)
        turn.changed = True
    elif len(there) < wanted and "Launch" not in store.suspended(group):
        _fill(group, turn, len(there), wanted)


def rested(group: Record) -> Record | None:
    """An instance of the pool that can be started; while the group is refreshed, one that is as desired."""
    wanted = None
    if refreshing.active(group):
        wanted = launching.named(launching.template(launching.specification(refreshing.configuration(group))))
    for instance in group["_instances"].values():
        fits = instance["LifecycleState"] in _RESTING and wanted in (None, instance["LaunchTemplate"])
        if fits and (instances.lives(instance["InstanceId"]) or _can_start(group, instance)):
            found: Record = instance
            return found
    return None


def _can_start(group: Record, instance: Record) -> bool:
    return instances.stopped(instance["InstanceId"]) and capacity.available(
        group=group["AutoScalingGroupName"],
        market=instance["_market"],
        reservation=instance["_reservation"],
        instance_type=instance["InstanceType"],
    )


def _size(group: Record, pool: Record) -> int:
    prepared = pool.get("MaxGroupPreparedCapacity", -1)
    most = group["MaxSize"] if prepared < 0 else prepared
    return int(max(most - group["DesiredCapacity"], pool.get("MinSize", 0), 0))


def _fill(group: Record, turn: Turn, there: int, wanted: int) -> None:
    state = group["_launch"]
    if state["failures"] and not turn.due(state["retry"]):
        return
    cause = activities.at(
        "an instance was started in response to a difference between desired and actual warm pool capacity, increasing "
        f"the capacity from {there} to {wanted}."
    )
    turn.changed = True
    try:
        way, subnet, version = launching.choose(group, refreshing.configuration(group))
    except launching.ShortError as error:
        failures.note(group, cause, str(error), error.subnet)
    except ServiceError as error:
        failures.note(group, cause, f"{error.message} Launching EC2 instance failed.", "")
    else:
        lifecycle.launch(group, way, subnet, version, cause, into_pool=True)
