"""CloudWatch's API: metrics and metric alarms are ours; composite alarms, tags and dashboards are ministack's."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ministack.services import cloudwatch

from .. import api, patching
from ..api import Operation, ServiceError
from ..clock import clock
from . import actions, alarms, data, embedded_metrics, metrics, protocol

_THEIRS = {
    "DeleteAlarms": "_delete_alarms",
    "DeleteDashboards": "_delete_dashboards",
    "DescribeAlarmHistory": "_describe_alarm_history",
    "DescribeAlarms": "_describe_alarms",
    "DescribeAlarmsForMetric": "_describe_alarms_for_metric",
    "DisableAlarmActions": "_disable_alarm_actions",
    "EnableAlarmActions": "_enable_alarm_actions",
    "GetDashboard": "_get_dashboard",
    "ListDashboards": "_list_dashboards",
    "ListTagsForResource": "_list_tags_for_resource",
    "PutCompositeAlarm": "_put_composite_alarm",
    "PutDashboard": "_put_dashboard",
    "SetAlarmState": "_set_alarm_state",
    "TagResource": "_tag_resource",
    "UntagResource": "_untag_resource",
}


def _theirs(handle: Callable[..., tuple[int, dict[str, str], bytes]]) -> Operation:
    """An operation of ministack's, asked by its JSON protocol."""

    def operation(request: dict[str, Any]) -> dict[str, Any]:
        status, _, body = handle({}, request, False, True)
        answer: dict[str, Any] = json.loads(body or b"{}")
        if status != 200:
            raise ServiceError(answer["__type"], answer.get("message", ""), status)
        return answer

    return operation


OPERATIONS: dict[str, Operation] = {
    "PutMetricData": data.put,
    "GetMetricData": data.get,
    "GetMetricStatistics": data.statistics,
    "ListMetrics": data.listed,
    "PutMetricAlarm": alarms.put,
} | {name: _theirs(patching.original(cloudwatch, function)) for name, function in _THEIRS.items()}

handle_request = protocol.handler("cloudwatch", OPERATIONS)


def call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One operation, as the account and region of the request under way. Raises ``ServiceError``."""
    return api.call("cloudwatch", OPERATIONS, name, request)


def install() -> None:
    """Let ministack's part go by the clock, and record and act through ours."""
    patching.replace(cloudwatch, "time", SimpleNamespace(time=clock.now))
    patching.replace(cloudwatch, "record_metric", _record)
    patching.replace(cloudwatch, "_dispatch_alarm_actions", actions.dispatch)
    embedded_metrics.install()


def _record(
    namespace: str, metric_name: str, value: float, unit: str = "None", dimensions: dict[str, str] | None = None
) -> None:
    metrics.record(namespace, metric_name, dimensions or {}, float(value), unit)


def get_state() -> dict[str, Any]:
    return {"metrics": metrics.get_state()}


def load_persisted_state(saved: dict[str, Any]) -> None:
    metrics.load_persisted_state(saved.get("metrics", []))
