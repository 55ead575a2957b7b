"""Scalable targets of the embedded AWS: registered, tracked, stepped and scheduled, and the metrics that they go by."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

Clients = Callable[[str], Any]
Later = Callable[[float], float]

COUNT = "sagemaker:variant:DesiredInstanceCount"
COPIES = "sagemaker:inference-component:DesiredCopyCount"
PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"
CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


class Target:
    """A scalable target: an endpoint's variant Main, or a component."""

    def __init__(self, client: Clients, resource: str, dimension: str = COUNT) -> None:
        self._client = client
        self.scaling = client("application-autoscaling")
        self.name = resource.split("/")[1]
        self.identity = {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": dimension}

    def register(self, least: int, most: int, **more: Any) -> None:
        self.scaling.register_scalable_target(**self.identity, MinCapacity=least, MaxCapacity=most, **more)

    def deregister(self) -> None:
        self.scaling.deregister_scalable_target(**self.identity)

    def track(self, metric: str | dict[str, Any], value: float, name: str = "track", **more: Any) -> dict[str, Any]:
        specification = (
            {"PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
            if isinstance(metric, str)
            else {"CustomizedMetricSpecification": metric}
        )
        made: dict[str, Any] = self.scaling.put_scaling_policy(
            **self.identity,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": value} | specification | more,
        )
        return made

    def step(self, name: str = "step", *, steps: list[dict[str, Any]] | None = None, **more: Any) -> str:
        configuration = {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": steps or [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            "Cooldown": 60,
        }
        made = self.scaling.put_scaling_policy(
            **self.identity,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration=configuration | more,
        )
        return str(made["PolicyARN"])

    def schedule(self, name: str, expression: str, **limits: Any) -> None:
        self.scaling.put_scheduled_action(
            **self.identity, ScheduledActionName=name, Schedule=expression, ScalableTargetAction=limits
        )

    def report(self, metric: str, value: float, **more: Any) -> None:
        """Publish a metric of the variant now."""
        dimensions = {"EndpointName": self.name, "VariantName": "Main"}
        self._client("cloudwatch").put_metric_data(
            Namespace="AWS/SageMaker",
            MetricData=[
                {"MetricName": metric, "Value": value}
                | {"Dimensions": [{"Name": name, "Value": each} for name, each in dimensions.items()]}
                | more
            ],
        )

    def activities(self, *, all_of_them: bool = False) -> list[dict[str, Any]]:
        """Newest first."""
        found = self.scaling.describe_scaling_activities(**self.identity, IncludeNotScaledActivities=all_of_them)
        return list(found["ScalingActivities"])

    @property
    def count(self) -> int:
        described = self._client("sagemaker").describe_endpoint(EndpointName=self.name)
        return int(described["ProductionVariants"][0]["CurrentInstanceCount"])


@pytest.fixture
def target(client: Clients, config_of: Any, endpoint_of: Any) -> Iterator[Callable[..., Target]]:
    """An endpoint in service whose variant is registered; deregistered after the test."""
    made: list[Target] = []

    def make(least: int = 1, most: int = 4, *, count: int = 1, **more: Any) -> Target:
        name = endpoint_of(config_of(InitialInstanceCount=count))
        one = Target(client, f"endpoint/{name}/variant/Main")
        one.register(least, most, **more)
        made.append(one)
        return one

    yield make
    for one in made:
        with suppress(ClientError):
            one.deregister()


@pytest.fixture
def nowhere(client: Clients) -> Iterator[Target]:
    """A target whose endpoint there is not."""
    one = Target(client, f"endpoint/none-{uuid.uuid4().hex[:8]}/variant/Main")
    one.register(1, 4)
    yield one
    with suppress(ClientError):
        one.deregister()


@pytest.fixture
def alarm_of(client: Clients) -> Iterator[Callable[..., str]]:
    """An alarm on a variant's invocations that calls a policy; gone after the test."""
    made: list[str] = []

    def make(one: Target, policy: str, **changes: Any) -> str:
        name = f"wake-{uuid.uuid4().hex[:8]}"
        dimensions = {"EndpointName": one.name, "VariantName": "Main"}
        request = {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocations",
            "Dimensions": [{"Name": each, "Value": value} for each, value in dimensions.items()],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 10,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        }
        client("cloudwatch").put_metric_alarm(AlarmName=name, AlarmActions=[policy], **(request | changes))
        made.append(name)
        return name

    yield make
    client("cloudwatch").delete_alarms(AlarmNames=made)


def minutes(one: Target, later: Later, metric: str, *values: float) -> None:
    """Publish a value in each minute that passes."""
    for value in values:
        one.report(metric, value)
        later(60)
