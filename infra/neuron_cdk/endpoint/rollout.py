"""How an endpoint moves to a new version, and the alarms that send it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from .. import spec
from ..resource import resource
from .metrics import NAMESPACE

_TYPES: Mapping[spec.RolloutKind, str] = {"all-at-once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
_MICROSECONDS = 1000  # of a millisecond: ModelLatency's unit


class RolloutAlarms(Construct):
    """In alarm when a fleet fails too many requests, or answers too slowly; what sends a new version back.

    They watch by ``EndpointConfigName`` and so the new fleet alone: an alarm on the whole endpoint would abort the very
    deployment that mends a failing one (SageMaker guide, *Auto-Rollback Configuration and Monitoring*). Components are
    updated in place and have no such dimension, so the file gives them no limits.

    A minute without requests breaches nothing.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, rollout: spec.Rollout, dimensions: Mapping[str, str]
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms = [
            resource(cloudwatch.CfnAlarm, self, name, **properties)
            for name, properties in rollout_alarms(rollout, dimensions).items()
        ]


def rollout_alarms(rollout: spec.Rollout, dimensions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The alarms of a rollout's limits, whoever makes them: ids to properties."""
    listed = [{"name": name, "value": value} for name, value in dimensions.items()]
    made: dict[str, dict[str, Any]] = {}
    if rollout.max_error_rate is not None:
        made["Errors"] = _alarm(
            description=f"More than {rollout.max_error_rate:g} of the requests fail",
            threshold=rollout.max_error_rate,
            metrics=[
                _sum("errors", "Invocation5XXErrors", listed),
                _sum("requests", "Invocations", listed),
                {"id": "rate", "expression": "errors / requests", "label": "Share of requests", "returnData": True},
            ],
        )
    if rollout.max_p99_ms is not None:
        made["Latency"] = _alarm(
            description=f"p99 above {rollout.max_p99_ms} ms",
            threshold=rollout.max_p99_ms * _MICROSECONDS,
            namespace=NAMESPACE,
            metric_name="ModelLatency",
            dimensions=listed,
            extended_statistic="p99",
            period=60,
        )
    return made


def _alarm(*, description: str, threshold: float, **watched: Any) -> dict[str, Any]:
    return {
        "alarm_description": description,
        "threshold": threshold,
        "comparison_operator": "GreaterThanThreshold",
        "evaluation_periods": 1,
        "treat_missing_data": "notBreaching",
        **watched,
    }


def _sum(metric_id: str, name: str, dimensions: list[dict[str, str]]) -> dict[str, Any]:
    metric = {"namespace": NAMESPACE, "metricName": name, "dimensions": dimensions}
    return {"id": metric_id, "metricStat": {"metric": metric, "stat": "Sum", "period": 60}, "returnData": False}


def deployment_config(endpoint: spec.Endpoint, alarms: Sequence[str]) -> dict[str, Any] | None:
    """The ``DeploymentConfig`` of an endpoint; None on Inf1, which knows no other way than all at once.

    :param alarms: names; at most ten, which is the API's limit.
    """
    if spec.on_inf1(endpoint):
        return None
    how = spec.shift(endpoint)
    limit = {"maximumExecutionTimeoutInSeconds": how.max_s} if how.max_s else {}
    if how.kind == "rolling":
        return {"rollingUpdatePolicy": _rolling(how) | limit, **_rollback(alarms)}
    routing: dict[str, Any] = {"type": _TYPES[how.kind], "waitIntervalInSeconds": how.wait_s}
    if how.kind != "all-at-once":
        routing[f"{how.kind}{'Size' if how.kind == 'canary' else 'StepSize'}"] = _share(how)
    policy = {"trafficRoutingConfiguration": routing, "terminationWaitInSeconds": how.termination_wait_s}
    return {"blueGreenUpdatePolicy": policy | limit, **_rollback(alarms)}


def component_deployment_config(endpoint: spec.Endpoint, alarms: Sequence[str]) -> dict[str, Any]:
    """The same for an inference component, copies instead of instances; rolling is all it knows."""
    how = spec.shift(endpoint)
    limit = {"maximumExecutionTimeoutInSeconds": how.max_s} if how.max_s else {}
    return {"rollingUpdatePolicy": _rolling(how) | limit, **_rollback(alarms, "autoRollbackConfiguration")}


def retained(*, scaled: bool) -> list[dict[str, str]]:
    """What an update takes from the new configuration, where ``RetainAllVariantProperties`` keeps the rest.

    Weights and data capture are the template's. So is the number of instances, unless scaling owns it.
    """
    declared = ["DesiredWeight", "DataCaptureConfig", *([] if scaled else ["DesiredInstanceCount"])]
    return [{"variantPropertyType": name} for name in declared]


def _rolling(how: spec.Shift) -> dict[str, Any]:
    return {"maximumBatchSize": _share(how), "waitIntervalInSeconds": how.wait_s}


def _share(how: spec.Shift) -> dict[str, Any]:
    return {"type": "CAPACITY_PERCENT", "value": how.percent}


def _rollback(alarms: Iterable[str], key: str = "autoRollbackConfiguration") -> dict[str, Any]:
    listed = [{"alarmName": name} for name in alarms]
    return {key: {"alarms": listed}} if listed else {}
