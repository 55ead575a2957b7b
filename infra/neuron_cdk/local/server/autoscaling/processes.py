"""What is switched on and off in a group: its processes, its metrics, its notifications."""

from __future__ import annotations

from typing import Any

from . import engine, store
from .store import Record

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
    "WarmPoolDesiredCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
)


def suspend(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    there = {each["ProcessName"]: each for each in group["SuspendedProcesses"]}
    for name in request.get("ScalingProcesses") or PROCESSES:
        there[name] = {"ProcessName": name, "SuspensionReason": "User suspended"}
    group["SuspendedProcesses"] = list(there.values())
    return {}


def resume(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    names = request.get("ScalingProcesses") or PROCESSES
    group["SuspendedProcesses"] = [each for each in group["SuspendedProcesses"] if each["ProcessName"] not in names]
    engine.soon()
    return {}


def enable_metrics(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    names = request.get("Metrics") or METRICS
    kept = [each for each in group["EnabledMetrics"] if each["Metric"] not in names]
    group["EnabledMetrics"] = kept + [{"Metric": name, "Granularity": request["Granularity"]} for name in names]
    return {}


def disable_metrics(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    names = request.get("Metrics") or METRICS
    group["EnabledMetrics"] = [each for each in group["EnabledMetrics"] if each["Metric"] not in names]
    return {}


def put_notifications(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    group["_notifications"] = _others(group, request["TopicARN"]) + [
        {
            "AutoScalingGroupName": group["AutoScalingGroupName"],
            "TopicARN": request["TopicARN"],
            "NotificationType": kind,
        }
        for kind in request["NotificationTypes"]
    ]
    return {}


def delete_notifications(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    group["_notifications"] = _others(group, request["TopicARN"])
    return {}


def describe_notifications(request: dict[str, Any]) -> dict[str, Any]:
    names = request.get("AutoScalingGroupNames")
    found = [
        each for name, group in store.groups.items() if not names or name in names for each in group["_notifications"]
    ]
    records, token = store.page(found, request)
    return {"NotificationConfigurations": records, "NextToken": token}


def _others(group: Record, topic: str) -> list[Record]:
    return [each for each in group["_notifications"] if each["TopicARN"] != topic]
