"""The operations on lifecycle hooks, and the answers to them."""

from __future__ import annotations

from typing import Any

from ..api import ServiceError
from . import engine, lifecycle, store
from .store import Record

_DEFAULTS = {"HeartbeatTimeout": 3600, "DefaultResult": "ABANDON"}


def made(group: str, given: Record, present: Record | None = None) -> Record:
    """A hook as it is kept. Raises ``ValidationError``."""
    hook: Record = _DEFAULTS | (present or {}) | given | {"AutoScalingGroupName": group}
    if "LifecycleTransition" not in hook:
        raise ServiceError("ValidationError", "LifecycleTransition is required to create a new lifecycle hook")
    if hook["DefaultResult"] not in ("CONTINUE", "ABANDON"):
        raise ServiceError("ValidationError", "Lifecycle Action Result must be CONTINUE or ABANDON")
    if not 30 <= hook["HeartbeatTimeout"] <= 7200:
        raise ServiceError("ValidationError", "HeartbeatTimeout must be between 30 and 7200 seconds")
    hook["GlobalTimeout"] = min(lifecycle.LONGEST_WAIT, 100 * hook["HeartbeatTimeout"])
    return hook


def put(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    name = request["LifecycleHookName"]
    group["_hooks"][name] = made(group["AutoScalingGroupName"], request, group["_hooks"].get(name))
    return {}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    """The instances that wait at it go on: abandoned at launch, as CONTINUE at termination (API reference)."""
    group = store.group(request["AutoScalingGroupName"])
    name = request["LifecycleHookName"]
    if group["_hooks"].pop(name, None) is None:
        raise ServiceError("ValidationError", f"No Lifecycle Hook found - {name}")
    for instance in group["_instances"].values():
        action = instance.get("_actions", {}).get(name)
        if action:
            result = "ABANDON" if action["transition"] == lifecycle.LAUNCHING else "CONTINUE"
            lifecycle.complete(group, instance, name, result, why="Lifecycle Hook Deleted")
    engine.soon()
    return {}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    wanted = request.get("LifecycleHookNames")
    return {
        "LifecycleHooks": [each for name, each in group["_hooks"].items() if not wanted or name in wanted],
    }


def complete(request: dict[str, Any]) -> dict[str, Any]:
    if request["LifecycleActionResult"] not in ("CONTINUE", "ABANDON"):
        raise ServiceError("ValidationError", "Lifecycle Action Result must be CONTINUE or ABANDON")
    group, instance, hook = _action(request)
    result = request["LifecycleActionResult"]
    lifecycle.complete(group, instance, hook, result, why=f"Lifecycle Action Completed with {result} Result")
    engine.soon()
    return {}


def record_heartbeat(request: dict[str, Any]) -> dict[str, Any]:
    _, instance, hook = _action(request)
    lifecycle.heartbeat(instance["_actions"][hook])
    engine.soon()
    return {}


def _action(request: dict[str, Any]) -> tuple[Record, Record, str]:
    """The group, the instance and the hook that a request means, by instance or by token."""
    group = store.group(request["AutoScalingGroupName"])
    hook, token, wanted = request["LifecycleHookName"], request.get("LifecycleActionToken"), request.get("InstanceId")
    if hook not in group["_hooks"]:
        raise ServiceError("ValidationError", f"No Lifecycle Hook found - {hook}")
    for instance in group["_instances"].values():
        action = instance.get("_actions", {}).get(hook)
        by_token = token is None or (action is not None and action["token"] == token)
        if action and wanted in (None, instance["InstanceId"]) and by_token:
            return group, instance, hook
    what = f"instance ID {wanted}" if wanted else f"token {token}"
    raise ServiceError("ValidationError", f"No active Lifecycle Action found with {what}")
