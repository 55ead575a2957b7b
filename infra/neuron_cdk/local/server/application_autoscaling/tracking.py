"""Target tracking: the metrics it follows, and the two alarms it makes for them.

The alarms' forms are those that Application Auto Scaling makes in an account (``scaling_rules``). A high-resolution
metric scales out after three datapoints of ten seconds; in, no faster than others ("Autoscaling policy overview",
SageMaker guide), so its second alarm has minutes. Which statistic it takes of one is not documented; those metrics
have two, Min and Max ("SageMaker AI metrics in Amazon CloudWatch").
"""

from __future__ import annotations

import uuid
from typing import Any

from neuron_cdk import scaling_rules

from ..api import ServiceError
from ..cloudwatch import alarms
from .store import Record

_VARIANT, _COMPONENT = ("EndpointName", "VariantName"), ("InferenceComponentName",)
_PREDEFINED = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum", 60, _VARIANT),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": ("ConcurrentRequestsPerModel", "Maximum", 10, _VARIANT),
    "SageMakerInferenceComponentInvocationsPerCopy": ("InvocationsPerCopy", "Sum", 60, _COMPONENT),
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": (
        "ConcurrentRequestsPerCopy",
        "Maximum",
        10,
        _COMPONENT,
    ),
}
"""Name in ``AWS/SageMaker``, statistic, period in seconds, dimensions."""
_MINUTE = 60


def check(policy: Record, others: list[Record]) -> None:
    """Raise ``ValidationException`` for a configuration that cannot be followed."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    predefined, customized = (configuration.get(f"{kind}MetricSpecification") for kind in ("Predefined", "Customized"))
    if (predefined is None) == (customized is None):
        raise _wrong("Give either PredefinedMetricSpecification or CustomizedMetricSpecification.")
    if configuration["TargetValue"] <= 0:
        raise _wrong("TargetValue must be greater than 0")
    if predefined:
        kind = predefined["PredefinedMetricType"]
        if kind not in _PREDEFINED or len(_PREDEFINED[kind][3]) != len(_names(policy["ResourceId"])):
            raise _wrong(f"The predefined metric type {kind} is not for {policy['ResourceId']} in the embedded AWS")
    elif "Metrics" not in customized and not {"MetricName", "Namespace", "Statistic"} <= customized.keys():
        raise _wrong("A customized metric has a MetricName, a Namespace and a Statistic, or Metrics.")
    for other in others:
        if other["PolicyName"] != policy["PolicyName"] and _specification(other) == _specification(policy):
            raise _wrong("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def put_alarms(policy: Record) -> None:
    """Make the policy's alarms as it is now; those it had keep their names and states."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    target = configuration["TargetValue"]
    _put(policy, "High", "GreaterThanThreshold", target, scaling_rules.HIGH_DATAPOINTS)
    if configuration.get("DisableScaleIn"):
        alarms.delete([policy["_alarms"].pop("Low")] if "Low" in policy["_alarms"] else [])
    else:
        low = scaling_rules.APPLICATION_LOW_FRACTION * target
        _put(policy, "Low", "LessThanThreshold", low, scaling_rules.LOW_DATAPOINTS)


def remove_alarms(policy: Record) -> None:
    alarms.delete(list(policy.get("_alarms", {}).values()))


def values(alarm: Record, now: float, count: int) -> list[float | None]:
    """The last datapoints of a policy's alarm, as ``scaling_rules`` takes them."""
    return [value for _, value in alarms.datapoints(alarm, now, count + scaling_rules.LATE_DATAPOINTS)]


def _put(policy: Record, side: str, comparison: str, threshold: float, datapoints: int) -> None:
    names = policy.setdefault("_alarms", {})
    name = names.setdefault(side, f"TargetTracking-{policy['ResourceId']}-Alarm{side}-{uuid.uuid4()}")
    alarms.put(
        _watched(policy, side)
        | {
            "AlarmName": name,
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
            "AlarmActions": [policy["PolicyARN"]],
            "ComparisonOperator": comparison,
            "Threshold": threshold,
            "EvaluationPeriods": datapoints,
        }
    )


def _watched(policy: Record, side: str) -> Record:
    """The members of the alarm that say what it looks at."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    if "PredefinedMetricSpecification" in configuration:
        kind = configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]
        name, statistic, period, dimensions = _PREDEFINED[kind]
        given = zip(dimensions, _names(policy["ResourceId"]), strict=True)
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": name,
            "Dimensions": [{"Name": dimension, "Value": value} for dimension, value in given],
            "Statistic": statistic,
            "Period": period if side == "High" else _MINUTE,
        }
    customized = configuration["CustomizedMetricSpecification"]
    if "Metrics" in customized:
        return {"Metrics": [_query(query) for query in customized["Metrics"]]}
    watched: Record = {"Dimensions": [], "Period": _MINUTE} | customized
    return watched


def _query(query: Record) -> Record:
    if "MetricStat" not in query:
        return query
    minutely: Record = query | {"MetricStat": query["MetricStat"] | {"Period": _MINUTE}}
    return minutely


def _names(resource: str) -> list[str]:
    """``endpoint/a/variant/b`` gives a and b, ``inference-component/a`` gives a."""
    return resource.split("/")[1::2]


def _specification(policy: Record) -> Any:
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    return configuration.get("PredefinedMetricSpecification") or configuration.get("CustomizedMetricSpecification")


def _wrong(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
