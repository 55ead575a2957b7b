"""Scheduled actions: the operations, and the limits they set when they are due."""

from __future__ import annotations

import logging
import math
import threading
import uuid
from datetime import UTC
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ministack.core.responses import get_account_id, get_region

from .. import moments
from ..api import ServiceError
from ..autoscaling import keeping
from ..clock import Timer, clock
from ..sagemaker.store import speak_for
from . import activities, changes, store
from .store import Record

logger = logging.getLogger("neuron_cdk.local")

_waiting: Timer | None = None
_lock = threading.Lock()


def put(request: Record) -> Record:
    """PutScheduledAction: what is not given stays."""
    key = store.key_of(store.target(request))
    name = request["ScheduledActionName"]
    present: Record | None = store.scheduled.get((*key, name))
    action = (present or _new(key, name)) | request
    if "Schedule" not in action:
        raise _wrong("Schedule is required for a new scheduled action")
    if not action.get("ScalableTargetAction"):
        raise _wrong("Give ScalableTargetAction a MinCapacity, a MaxCapacity or both")
    action["_next"] = _following(action, clock.now())
    store.scheduled[(*key, name)] = action
    wake()
    return {}


def delete(request: Record) -> Record:
    action = store.scheduled.get((*store.key_of(request), request["ScheduledActionName"]))
    if action is None:
        raise ServiceError(
            "ObjectNotFoundException", f"No scheduled action found for name: {request['ScheduledActionName']}"
        )
    remove(action)
    return {}


def remove(action: Record) -> None:
    store.scheduled.pop((*store.key_of(action), action["ScheduledActionName"]), None)


def describe(request: Record) -> Record:
    found = store.described(list(store.scheduled.values()), request, "ScheduledActionNames", "ScheduledActionName")
    return {"ScheduledActions": found}


def wake() -> None:
    """See to it that the action that is due next is carried out then."""
    global _waiting
    due = min((action["_next"] or math.inf for action in list(store.scheduled.all_values())), default=math.inf)
    with _lock:
        if _waiting is not None:
            _waiting.cancel()
        _waiting = clock.call_at(due, _look) if due < math.inf else None


def _look() -> None:
    now = clock.now()
    for (account, region, _), action in list(store.scheduled.all_items()):
        if action["_next"] is not None and action["_next"] <= now:
            speak_for(account, region)
            action["_next"] = _following(action, now)
            _carry_out(action)
    keeping.changed()
    wake()


def _carry_out(action: Record) -> None:
    target = store.targets.get(store.key_of(action))
    if target is None or target["SuspendedState"]["ScheduledScalingSuspended"]:
        return
    changed = target | action["ScalableTargetAction"]
    least, most = changed["MinCapacity"], changed["MaxCapacity"]
    cause = f"scheduled action name {action['ScheduledActionName']} was triggered"
    said = f"min capacity to {least} and max capacity to {most}"
    if least > most:
        message = f"Failed to set {said}. Reason: Maximum capacity cannot be less than minimum capacity"
        activities.begin(target, f"Setting {said}", cause, message, StatusCode="Failed")
        return
    target.update(MinCapacity=least, MaxCapacity=most)
    activities.begin(target, f"Setting {said}", cause, f"Successfully set {said}", StatusCode="Successful")
    changes.keep_within(store.key_of(target))


def _following(action: Record, after: float) -> float | None:
    try:
        zone = ZoneInfo(action["Timezone"]) if "Timezone" in action else UTC
        start = action.get("StartTime")
        # A moment is after the last one, so the start itself counts only when it is a moment before.
        since = max(after, start - 1) if start is not None else after
        moment = moments.following(action["Schedule"], since, zone, start or action["CreationTime"])
    except ZoneInfoNotFoundError:
        raise _wrong(f"Invalid timezone: {action['Timezone']}") from None
    except ValueError as error:
        raise _wrong(f"Invalid schedule expression {action['Schedule']}: {error}") from error
    return None if moment is None or moment > action.get("EndTime", math.inf) else moment


def _new(key: store.Key, name: str) -> Record:
    namespace, resource, _ = key
    return {
        "ScheduledActionARN": f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scheduledAction:{uuid.uuid4()}:"
        f"resource/{namespace}/{resource}:scheduledActionName/{name}",
        "CreationTime": clock.now(),
    }


def _wrong(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
