"""Metrics of the embedded AWS and alarms on them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

Clients = Callable[[str], Any]


class Metric:
    """A metric of its own, and its values."""

    def __init__(self, cloudwatch: Any, name: str = "Errors") -> None:
        self._cloudwatch = cloudwatch
        self.namespace = f"Test/{uuid.uuid4().hex[:8]}"
        self.name = name
        self.dimensions = [{"Name": "EndpointName", "Value": "one"}]

    @property
    def described(self) -> dict[str, Any]:
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": self.dimensions}

    def put(self, **datum: Any) -> None:
        data = {"MetricName": self.name, "Dimensions": self.dimensions} | datum
        self._cloudwatch.put_metric_data(Namespace=self.namespace, MetricData=[data])

    def query(self, identifier: str, stat: str = "Sum", *, returned: bool = False, period: int = 60) -> dict[str, Any]:
        return {
            "Id": identifier,
            "MetricStat": {"Metric": self.described, "Period": period, "Stat": stat},
            "ReturnData": returned,
        }


@pytest.fixture
def metric(client: Clients) -> Metric:
    return Metric(client("cloudwatch"))


@pytest.fixture
def alarm(client: Clients, metric: Metric) -> Iterator[Callable[..., str]]:
    """An alarm on the metric, gone after the test; its name."""
    made: list[str] = []

    def make(**changes: Any) -> str:
        name = f"alarm-{uuid.uuid4().hex[:8]}"
        request = {"EvaluationPeriods": 1, "Threshold": 10, "ComparisonOperator": "GreaterThanThreshold"}
        if "Metrics" not in changes:
            request |= metric.described | {"Statistic": "Sum", "Period": 60}
        client("cloudwatch").put_metric_alarm(AlarmName=name, **(request | changes))
        made.append(name)
        return name

    yield make
    with suppress(ClientError):
        client("cloudwatch").delete_alarms(AlarmNames=made)


@pytest.fixture
def quiet_alarm(client: Clients) -> Iterator[str]:
    """An alarm that is OK, which a test may trip; its name."""
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Nobody",
        MetricName="Nothing",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",  # else a state set by hand lasts until the next look
    )
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="OK", StateReason="quiet")
    yield name
    client("cloudwatch").delete_alarms(AlarmNames=[name])


@pytest.fixture
def state(client: Clients) -> Callable[[str], str]:
    """The state of an alarm."""

    def find(name: str) -> str:
        (found,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])

    return find


def next_minute(now: Callable[[float], float]) -> float:
    """Go to the beginning of the next minute."""
    return now(60 - now(0) % 60 + 0.5)
