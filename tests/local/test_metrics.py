"""Metrics of the embedded AWS come back by period, statistic and dimension, in each protocol."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.metrics import Metric, next_minute

Clients = Callable[[str], Any]
Later = Callable[[float], float]


def test_values_come_back_by_period_and_statistic(client: Clients, metric: Metric, later: Later) -> None:
    begin = next_minute(later) // 60 * 60
    metric.put(Values=[1.0, 5.0], Counts=[9, 1], Unit="Milliseconds")
    later(60)
    metric.put(Value=3.0, Unit="Milliseconds")

    asked = [metric.query(stat.replace(".", "").lower(), stat, returned=True) for stat in ("Sum", "Average", "p90")]
    found = client("cloudwatch").get_metric_data(
        MetricDataQueries=asked, StartTime=begin, EndTime=begin + 120, ScanBy="TimestampAscending"
    )["MetricDataResults"]
    values = {result["Id"]: result["Values"] for result in found}
    assert values == {"sum": [14.0, 3.0], "average": [1.4, 3.0], "p90": [pytest.approx(1.4), 3.0]}
    assert [time.timestamp() for time in found[0]["Timestamps"]] == [begin, begin + 60]

    points = client("cloudwatch").get_metric_statistics(
        **metric.described,
        StartTime=begin,
        EndTime=begin + 60,
        Period=60,
        Statistics=["SampleCount", "Maximum"],
        ExtendedStatistics=["p99"],
    )["Datapoints"]
    assert [(point["SampleCount"], point["Maximum"], point["Unit"]) for point in points] == [(10, 5, "Milliseconds")]
    assert points[0]["ExtendedStatistics"] == {"p99": pytest.approx(4.64)}


def test_percentiles_of_many_values_are_close_and_of_statistic_sets_there_are_none(
    client: Clients, metric: Metric, later: Later
) -> None:
    begin = next_minute(later) // 60 * 60
    for start in range(0, 3000, 150):
        metric.put(Values=[1000.0 + value for value in range(start, start + 150)])
    later(60)
    metric.put(StatisticValues={"SampleCount": 2, "Sum": 8, "Minimum": 3, "Maximum": 5})

    asked = [metric.query("percentile", "p99", returned=True), metric.query("total", returned=True)]
    percentile, total = client("cloudwatch").get_metric_data(
        MetricDataQueries=asked, StartTime=begin, EndTime=begin + 120, ScanBy="TimestampAscending"
    )["MetricDataResults"]
    assert percentile["Values"] == [pytest.approx(3969, rel=0.005)]
    assert total["Values"][1] == 8


def test_metrics_are_listed_by_dimension_and_apart_from_others(client: Clients, metric: Metric) -> None:
    metric.put(Value=1)
    metric.put(Value=1, Dimensions=[])

    listed = client("cloudwatch").list_metrics(Namespace=metric.namespace)["Metrics"]
    assert len(listed) == 2
    listed = client("cloudwatch").list_metrics(Namespace=metric.namespace, Dimensions=[{"Name": "EndpointName"}])
    assert [one["Dimensions"] for one in listed["Metrics"]] == [metric.dimensions]


def _send(url: str, body: bytes, **headers: str) -> bytes:
    """As another client than boto3 does."""
    scope = "Credential=test/20261124/us-east-1/monitoring/aws4_request"
    request = urllib.request.Request(url, body, {"Authorization": f"AWS4-HMAC-SHA256 {scope}"} | headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def test_json_and_the_query_protocol_say_what_cbor_says(
    client: Clients, embedded_aws: EmbeddedAws, metric: Metric, alarm: Callable[..., str]
) -> None:
    assert client("cloudwatch").meta.service_model.metadata["protocol"] == "smithy-rpc-v2-cbor"
    name = alarm()
    described = {
        "X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms",
        "Content-Type": "application/x-amz-json-1.0",
    }
    by_json = json.loads(_send(embedded_aws.url, json.dumps({"AlarmNames": [name]}).encode(), **described))
    (found,) = by_json["MetricAlarms"]
    (expected,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert found["AlarmArn"] == expected["AlarmArn"]
    assert found["StateUpdatedTimestamp"] == pytest.approx(expected["StateUpdatedTimestamp"].timestamp(), abs=0.01)

    fields = {
        "Action": "PutMetricData",
        "Version": "2010-08-01",
        "Namespace": metric.namespace,
        "MetricData.member.1.MetricName": "Sent",
        "MetricData.member.1.Values.member.1": "2.5",
        "MetricData.member.1.Counts.member.1": "4",
    }
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    _send(embedded_aws.url, urllib.parse.urlencode(fields).encode(), **form)
    fields = {"Action": "ListMetrics", "Version": "2010-08-01", "Namespace": metric.namespace}
    listed = _send(embedded_aws.url, urllib.parse.urlencode(fields).encode(), **form)
    assert b"<MetricName>Sent</MetricName>" in listed
