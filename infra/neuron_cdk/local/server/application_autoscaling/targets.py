"""The operations on scalable targets."""

from __future__ import annotations

import uuid

from ministack.core.responses import get_account_id, get_region

from ..api import ServiceError
from ..clock import clock
from . import changes, dimensions, policies, schedules, store
from .store import Record

_SUSPENDED = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
_ROLE = (
    "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def register(request: Record) -> Record:
    """RegisterScalableTarget: what is not given stays. The capacity follows the limits at once.

    A resource there is not is let through, which AWS refuses: a target that a template makes before its endpoint.
    """
    dimensions.find(request)
    key = store.key_of(request)
    present: Record | None = store.targets.get(key)
    if present is None:
        if not {"MinCapacity", "MaxCapacity"} <= request.keys():
            raise ServiceError(
                "ValidationException", "MinCapacity and MaxCapacity are required to register a new scalable target"
            )
        present = _new()
    suspended = present["SuspendedState"] | request.get("SuspendedState", {})
    changed = present | {member: value for member, value in request.items() if member != "Tags"}
    check_limits(changed)
    store.targets[key] = changed | {"SuspendedState": suspended}
    changes.later(0, lambda: changes.keep_within(key))
    return {"ScalableTargetARN": changed["ScalableTargetARN"]}


def check_limits(target: Record) -> None:
    if target["MinCapacity"] < 0:
        raise ServiceError("ValidationException", "Minimum capacity must be greater than or equal to 0")
    if target["MinCapacity"] > target["MaxCapacity"]:
        raise ServiceError("ValidationException", "Maximum capacity cannot be less than minimum capacity")


def deregister(request: Record) -> Record:
    """With its policies, their alarms and its scheduled actions."""
    key = store.key_of(store.target(request))
    store.targets.pop(key)
    for policy in store.of_target(store.policies, key):
        policies.remove(policy)
    for action in store.of_target(store.scheduled, key):
        schedules.remove(action)
    return {}


def describe(request: Record) -> Record:
    return {"ScalableTargets": store.described(list(store.targets.values()), request, "ResourceIds")}


def _new() -> Record:
    region, account = get_region(), get_account_id()
    return {
        "ScalableTargetARN": f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/{uuid.uuid4().hex}",
        "RoleARN": f"arn:aws:iam::{account}:role/{_ROLE}",
        "SuspendedState": dict.fromkeys(_SUSPENDED, False),
        "CreationTime": clock.now(),
    }
