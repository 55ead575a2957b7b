"""Capacities are set, and followed until they are there.

Everything here runs in the clock's thread, one after the other, as the account and region of the target. A resource
that takes no change now is asked again: by an alarm that stays on a minute later, by limits in ``_AGAIN_SECONDS``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ministack.core.responses import get_account_id, get_region

from neuron_cdk import scaling_rules

from ..api import ServiceError
from ..autoscaling import keeping
from ..clock import clock
from ..sagemaker.store import speak_for
from . import activities, dimensions, store
from .store import Key, Record

logger = logging.getLogger("neuron_cdk.local")

_LOOK_SECONDS = 10.0
_AGAIN_SECONDS = 30.0


def later(seconds: float, run: Callable[[], object]) -> None:
    """Run it in the clock's thread as the account and region of this thread's context."""
    account, region = get_account_id(), get_region()

    def as_now() -> None:
        speak_for(account, region)
        run()

    clock.call_later(seconds, as_now)


def change(target: Record, capacity: int, cause: str) -> bool:
    """Set the target's capacity and note the activity; whether the resource took it."""
    dimension = dimensions.find(target)
    description = f"Setting desired {dimension.called} to {capacity}."
    try:
        dimension.change(target["ResourceId"], capacity)
    except ServiceError as error:
        message = f"Failed to set desired {dimension.called} to {capacity}. Reason: {error.message}"
        activities.begin(target, description, cause, message, StatusCode="Failed")
        return False
    message = f"Successfully set desired {dimension.called} to {capacity}."
    activity = activities.begin(
        target, description, cause, f"{message} Waiting for change to be fulfilled by sagemaker.", _wanted=capacity
    )
    keeping.changed()
    later(_LOOK_SECONDS, lambda: follow(activity))
    return True


def follow(activity: Record) -> None:
    """Look whether an activity under way has ended, until it has."""
    wanted, dimension = activity["_wanted"], dimensions.find(activity)
    there = dimension.read(activity["ResourceId"])
    if there is not None and there.busy:
        later(_LOOK_SECONDS, lambda: follow(activity))
        return
    said = f"Successfully set desired {dimension.called} to {wanted}."
    if there is not None and there.current == wanted:
        activities.end(activity, "Successful", f"{said} Change successfully fulfilled by sagemaker.")
    elif there is not None and there.desired != wanted and not there.failure:
        activities.end(activity, "Overridden", f"{said} It was changed again to {there.desired}.")
    else:
        why = there.failure if there is not None else "the resource is gone"
        activities.end(activity, "Unfulfilled", f"{said} However, sagemaker did not fulfill it: {why}")
    keeping.changed()


def keep_within(key: Key) -> None:
    """Bring a target's capacity inside its limits, as soon as the resource takes a change."""
    target: Record | None = store.targets.get(key)
    there = dimensions.find(target).read(target["ResourceId"]) if target else None
    if target is None or there is None:
        return
    least, most = target["MinCapacity"], target["MaxCapacity"]
    capacity = scaling_rules.bounded(there.desired, least, most)
    if capacity == there.desired:
        target.pop("_outside", None)
        return
    target["_outside"] = True
    raised = capacity > there.desired
    cause = f"minimum capacity was set to {least}" if raised else f"maximum capacity was set to {most}"
    if there.busy or not change(target, capacity, cause):
        later(_AGAIN_SECONDS, lambda: keep_within(key))
    else:
        target.pop("_outside", None)
