"""An endpoint's scaling as Application Auto Scaling and CloudWatch take it. Pure: requests are made here.

Sources: Application Auto Scaling API reference; SageMaker guide, *Register a model*, *Scale an endpoint to zero
instances*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .declaration import Declaration, Policy, Schedule, Target
from .seen import Registered

Request = dict[str, Any]

VARIANT = "sagemaker:variant:DesiredInstanceCount"
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """How Application Auto Scaling knows a target."""

    id: str
    dimension: str

    def request(self) -> Request:
        return {"ServiceNamespace": "sagemaker", "ResourceId": self.id, "ScalableDimension": self.dimension}


def variant(endpoint: str, name: str) -> Address:
    """The address of a variant."""
    return Address(f"endpoint/{endpoint}/variant/{name}", VARIANT)


def address(endpoint: str, target: Target) -> Address:
    """The address of a declared target."""
    if target.resource == "variant":
        return variant(endpoint, target.name)
    return Address(f"inference-component/{target.name}", COMPONENT)


def declared(endpoint: str, declaration: Declaration | None) -> dict[Address, Target]:
    """The targets of a declaration by address; none of none."""
    return {address(endpoint, target): target for target in declaration.targets} if declaration else {}


def alarm_name(at: Address, policy: str) -> str:
    """The alarm of a step policy: after its endpoint or component, the second part of either address."""
    return f"{at.id.split('/')[1]}-{policy}"


def alarms(at: Address, target: Target | None) -> set[str]:
    """The alarms that a declared target has of its own."""
    return {alarm_name(at, policy.name) for policy in target.policies if policy.kind == "step"} if target else set()


def standing_alarms(at: Address, registered: Registered | None) -> set[str]:
    """The alarms of a target that there is, as they were named here."""
    return {alarm_name(at, name) for name in registered.stepping} if registered else set()


def is_whole(at: Address, target: Target, registered: Registered | None) -> bool:
    """Whether everything of a declared target is registered, its alarms among it."""
    return (
        registered is not None
        and {policy.name for policy in target.policies} <= set(registered.policies)
        and {schedule.name for schedule in target.schedules} <= registered.schedules
        and all(
            alarm_name(at, policy.name) in registered.policies[policy.name]
            for policy in target.policies
            if policy.kind == "step"
        )
    )


def keeps_limits(target: Target, registered: Registered | None, before: Iterable[Target]) -> bool:
    """Whether a target keeps the limits that a scheduled action has set: until its next one, or until others than
    before are declared. A deployment at noon must not take the night's number of instances.
    """
    return (
        registered is not None
        and registered.limits in [(schedule.min, schedule.max) for schedule in target.schedules]
        and {(old.min, old.max) for old in before} == {(target.min, target.max)}
    )


def undeclared_policies(target: Target, registered: Registered) -> list[str]:
    return _others(registered.policies, (policy.name for policy in target.policies))


def undeclared_schedules(target: Target, registered: Registered) -> list[str]:
    return _others(registered.schedules, (schedule.name for schedule in target.schedules))


def _others(there: Iterable[str], wanted: Iterable[str]) -> list[str]:
    return sorted(set(there) - set(wanted))


# -- Requests --------------------------------------------------------------------------------------------------------


def register(at: Address, target: Target) -> Request:
    """RegisterScalableTarget: makes a target, or sets its limits."""
    return at.request() | {"MinCapacity": target.min, "MaxCapacity": target.max}


def put_policy(at: Address, policy: Policy) -> Request:
    """PutScalingPolicy: makes a policy, or changes it and leaves it its ARN."""
    settings = policy.settings
    request = at.request() | {"PolicyName": policy.name}
    if policy.kind == "step":
        steps = [
            {"ScalingAdjustment": step["by"]}
            | ({} if step["lower"] is None else {"MetricIntervalLowerBound": step["lower"]})
            | ({} if step["upper"] is None else {"MetricIntervalUpperBound": step["upper"]})
            for step in settings["steps"]
        ]
        configuration = {
            "AdjustmentType": settings["adjustment"],
            "StepAdjustments": steps,
            "Cooldown": settings["cooldown_s"],
        }
        return request | {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": configuration}
    metric = settings["metric"]
    configuration = {
        "TargetValue": settings["value"],
        "ScaleInCooldown": settings["scale_in_cooldown_s"],
        "ScaleOutCooldown": settings["scale_out_cooldown_s"],
    }
    if isinstance(metric, str):
        configuration["PredefinedMetricSpecification"] = {"PredefinedMetricType": metric}
    else:
        configuration["CustomizedMetricSpecification"] = metric
    return request | {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": configuration}


def put_alarm(at: Address, policy: Policy, arn: str, endpoint: str) -> Request:
    """PutMetricAlarm: what calls a step policy. ``{endpoint}`` in a dimension is the endpoint's name."""
    alarm = policy.settings["alarm"]
    return {
        "AlarmName": alarm_name(at, policy.name),
        "AlarmDescription": f"Calls the scaling policy {policy.name} of {at.id}",
        "AlarmActions": [arn],
        "Namespace": alarm["namespace"],
        "MetricName": alarm["metric"],
        "Dimensions": [
            {"Name": name, "Value": value.replace("{endpoint}", endpoint)}
            for name, value in alarm["dimensions"].items()
        ],
        "Statistic": alarm["statistic"],
        "Period": alarm["period_s"],
        "EvaluationPeriods": alarm["evaluation_periods"],
        "DatapointsToAlarm": alarm["datapoints"],
        "Threshold": alarm["threshold"],
        "ComparisonOperator": alarm["comparison"],
        "TreatMissingData": alarm["missing"],
    }


def put_schedule(at: Address, schedule: Schedule) -> Request:
    """PutScheduledAction, in UTC."""
    return at.request() | {
        "ScheduledActionName": schedule.name,
        "Schedule": schedule.cron,
        "ScalableTargetAction": {"MinCapacity": schedule.min, "MaxCapacity": schedule.max},
    }
