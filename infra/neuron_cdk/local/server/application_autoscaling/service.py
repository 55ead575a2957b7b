"""Application Auto Scaling's API: the operations by name, and how it takes hold of alarms and of the clock."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import api
from ..api import Operation
from ..cloudwatch import actions
from ..sagemaker.store import speak_for
from . import acting, activities, changes, policies, schedules, store, targets

OPERATIONS: dict[str, Operation] = {
    "RegisterScalableTarget": targets.register,
    "DeregisterScalableTarget": targets.deregister,
    "DescribeScalableTargets": targets.describe,
    "PutScalingPolicy": policies.put,
    "DeleteScalingPolicy": policies.delete,
    "DescribeScalingPolicies": policies.describe,
    "PutScheduledAction": schedules.put,
    "DeleteScheduledAction": schedules.delete,
    "DescribeScheduledActions": schedules.describe,
    "DescribeScalingActivities": activities.describe,
}

handle_request = api.handler("application-autoscaling", OPERATIONS)


def call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One operation, as the account and region of the request under way. Raises ``ServiceError``."""
    return api.call("application-autoscaling", OPERATIONS, name, request)


def install() -> None:
    """Be called by alarms whose action is a policy of SageMaker's."""
    actions.of_policies(":resource/sagemaker/", acting.act)


def resume() -> None:
    """After a start: go on with what the saved state says is under way."""
    for (account, region, _), activity in list(store.activities.all_items()):
        if activity["StatusCode"] == "InProgress":
            speak_for(account, region)
            changes.later(0, partial(changes.follow, activity))
    for (account, region, key), target in list(store.targets.all_items()):
        if target.get("_outside"):
            speak_for(account, region)
            changes.later(0, partial(changes.keep_within, key))
    schedules.wake()
