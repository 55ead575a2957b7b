"""EC2 Auto Scaling's API: the operations by name."""

from __future__ import annotations

from typing import Any

from ..api import Operation
from . import groups, hooks, keeping, policies, processes, protocol, refreshes, scheduled_actions, store, warm_pools

_NAME = "autoscaling"

_BY_NAME: dict[str, Operation] = {
    "CreateAutoScalingGroup": groups.create,
    "UpdateAutoScalingGroup": groups.update,
    "DeleteAutoScalingGroup": groups.delete,
    "DescribeAutoScalingGroups": groups.describe,
    "DescribeAutoScalingInstances": groups.describe_instances,
    "DescribeScalingActivities": groups.describe_activities,
    "SetDesiredCapacity": groups.set_desired_capacity,
    "TerminateInstanceInAutoScalingGroup": groups.terminate_instance,
    "SetInstanceHealth": groups.set_health,
    "SetInstanceProtection": groups.set_protection,
    "AttachLoadBalancerTargetGroups": groups.attach_target_groups,
    "DetachLoadBalancerTargetGroups": groups.detach_target_groups,
    "CreateOrUpdateTags": groups.put_tags,
    "DeleteTags": groups.delete_tags,
    "DescribeTags": groups.describe_tags,
    "PutLifecycleHook": hooks.put,
    "DeleteLifecycleHook": hooks.delete,
    "DescribeLifecycleHooks": hooks.describe,
    "CompleteLifecycleAction": hooks.complete,
    "RecordLifecycleActionHeartbeat": hooks.record_heartbeat,
    "PutWarmPool": warm_pools.put,
    "DescribeWarmPool": warm_pools.describe,
    "DeleteWarmPool": warm_pools.delete,
    "StartInstanceRefresh": refreshes.start,
    "DescribeInstanceRefreshes": refreshes.describe,
    "CancelInstanceRefresh": refreshes.cancel,
    "RollbackInstanceRefresh": refreshes.roll_back,
    "PutScheduledUpdateGroupAction": scheduled_actions.put,
    "DeleteScheduledAction": scheduled_actions.delete,
    "DescribeScheduledActions": scheduled_actions.describe,
    "PutScalingPolicy": policies.put,
    "DeletePolicy": policies.delete,
    "DescribePolicies": policies.describe,
    "SuspendProcesses": processes.suspend,
    "ResumeProcesses": processes.resume,
    "EnableMetricsCollection": processes.enable_metrics,
    "DisableMetricsCollection": processes.disable_metrics,
    "PutNotificationConfiguration": processes.put_notifications,
    "DeleteNotificationConfiguration": processes.delete_notifications,
    "DescribeNotificationConfigurations": processes.describe_notifications,
}


def _alone(name: str, operation: Operation) -> Operation:
    """The operation, while the engine does nothing; what it changes is saved."""

    def run(request: dict[str, Any]) -> dict[str, Any]:
        with store.lock:
            answer = operation(request)
        if not name.startswith("Describe"):
            keeping.changed()
        return answer

    return run


_OPERATIONS = {name: _alone(name, operation) for name, operation in _BY_NAME.items()}

handle_request = protocol.handler(_NAME, _OPERATIONS)


def call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One operation, as the account and region of the request under way. Raises ``ServiceError``."""
    return protocol.call(_NAME, _OPERATIONS, name, request)
