"""Metrics and alarms of the embedded AWS, on its clock."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]
Later = Callable[[float], float]


@pytest.fixture(scope="module")
def judging() -> ModuleType:
    """The rules for missing data: they need nothing of the server's environment."""
    import neuron_cdk.local.server.cloudwatch.judging as judging

    return judging


@pytest.fixture(scope="module")
def expressions() -> ModuleType:
    """Metric math: it needs nothing of the server's environment."""
    import neuron_cdk.local.server.cloudwatch.expressions as expressions

    return expressions


@pytest.mark.parametrize("current", ["OK", "ALARM", "INSUFFICIENT_DATA"])
@pytest.mark.parametrize(
    ("enough", "datapoints", "states"),
    [
        (3, "0 - X - X", "OK OK OK OK"),
        (3, "0 - - - -", "OK OK OK OK"),
        (3, "- - - - -", "INSUFFICIENT_DATA same ALARM OK"),
        (3, "0 X X - X", "ALARM ALARM ALARM ALARM"),
        (3, "- - X - -", "ALARM same ALARM OK"),
        (2, "0 - X - X", "ALARM ALARM ALARM ALARM"),
        (2, "0 0 X 0 X", "ALARM ALARM ALARM ALARM"),
        (2, "0 - X - -", "OK OK ALARM OK"),
        (2, "- - - - 0", "OK OK ALARM OK"),
        (2, "- - - X -", "ALARM same ALARM OK"),
    ],
)
def test_missing_data_counts_as_the_user_guides_tables_say(
    judging: ModuleType, enough: int, datapoints: str, states: str, current: str
) -> None:
    breaching = [{"0": False, "X": True, "-": None}[one] for one in datapoints.split()]
    treatments = ("missing", "ignore", "breaching", "notBreaching")
    expected = [current if state == "same" else state for state in states.split()]
    assert [judging.state(breaching, 3, enough, missing, current) for missing in treatments] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1 / m2", {0: 0.5, 60: 1.0}),
        ("100 * m1 / m2", {0: 50.0, 60: 100.0}),
        ("-m1 + 2 * (m2 - 1)", {0: 1.0, 60: 0.0, 120: -3.0}),
        ("m1 - m3", {60: -3.0}),
        ("IF(m2 > 0, m1 / m2, 0)", {0: 0.5, 60: 1.0, 120: 0.0}),
        ("IF(m2 > 1 AND m1 >= 1, 1, 0)", {0: 1.0, 60: 1.0, 120: 0.0}),
        ("IF(m3 > 3 || m3 < 1, 9, m1)", {60: 9.0}),
        ("FILL(m3, 0)", {0: 0.0, 60: 5.0, 120: 0.0}),
        ("FILL(m3, REPEAT)", {60: 5.0, 120: 5.0}),
        ("SUM([m1, m3])", {0: 1.0, 60: 7.0, 120: 1.0}),
        ("AVG([m1, m2])", {0: 1.5, 60: 2.0, 120: 0.5}),
        ("MAX([m1, m2, 2])", {0: 2.0, 60: 2.0, 120: 2.0}),
        ("MIN([m1, m2])", {0: 1.0, 60: 2.0, 120: 0.0}),
        ("MAX(m2)", 2.0),
        ("2 ^ 3 - 1", 7.0),
    ],
)
def test_metric_math(expressions: ModuleType, text: str, expected: Any) -> None:
    values = {"m1": {0: 1.0, 60: 2.0, 120: 1.0}, "m2": {0: 2.0, 60: 2.0, 120: 0.0}, "m3": {60: 5.0}}
    assert expressions.parse(text).value(expressions.Scope(values, (0, 60, 120))) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SEARCH(m1)", "the function SEARCH is not part of the embedded AWS"),
        ("m1 +", "it ends too early"),
        ("(m1", "')' is missing"),
        ("m1 m2", "unexpected 'm2'"),
        ("m1 ; m2", "unexpected ';'"),
        ("IF(m1, m2)", "IF takes 3 arguments"),
    ],
)
def test_what_is_no_expression_is_refused(expressions: ModuleType, text: str, reason: str) -> None:
    with pytest.raises(expressions.ExpressionError, match=reason.replace("(", "\\(").replace(")", "\\)")):
        expressions.parse(text)


class _Metric:
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
def metric(client: Clients) -> _Metric:
    return _Metric(client("cloudwatch"))


@pytest.fixture
def alarm(client: Clients, metric: _Metric) -> Iterator[Callable[..., str]]:
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
def state(client: Clients) -> Callable[[str], str]:
    def find(name: str) -> str:
        (found,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])

    return find


def _minute(now: Callable[[float], float]) -> float:
    """Go to the beginning of the next minute."""
    return now(60 - now(0) % 60 + 0.5)


def test_values_come_back_by_period_and_statistic(client: Clients, metric: _Metric, later: Later) -> None:
    begin = _minute(later) // 60 * 60
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
    client: Clients, metric: _Metric, later: Later
) -> None:
    begin = _minute(later) // 60 * 60
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


def test_metrics_are_listed_by_dimension_and_apart_from_others(client: Clients, metric: _Metric) -> None:
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
    client: Clients, embedded_aws: EmbeddedAws, metric: _Metric, alarm: Callable[..., str]
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


def test_an_alarm_follows_its_metric_and_says_why(
    client: Clients, metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    _minute(later)
    name = alarm(TreatMissingData="notBreaching")
    assert state(name) == "INSUFFICIENT_DATA"
    metric.put(Value=11)
    later(60)
    (described,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert described["StateValue"] == "ALARM"
    assert "was greater than the threshold (10.0)" in described["StateReason"]
    later(240)
    assert state(name) == "OK"
    history = client("cloudwatch").describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")
    assert "Alarm updated from ALARM to OK" in [item["HistorySummary"] for item in history["AlarmHistoryItems"]]


def test_a_metric_of_other_dimensions_does_not_count(
    metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    _minute(later)
    name = alarm()
    metric.put(Value=11, Dimensions=[{"Name": "EndpointName", "Value": "other"}])
    later(60)
    assert state(name) == "INSUFFICIENT_DATA"


def test_some_of_several_datapoints_are_enough(
    metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    _minute(later)
    name = alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    for value, expected in ((11, "OK"), (1, "OK"), (11, "ALARM"), (1, "OK")):
        metric.put(Value=value)
        later(60)
        if value != 11 or expected == "ALARM":
            assert state(name) == expected


def test_an_alarm_on_a_share_of_errors_looks_at_requests_too(
    client: Clients, metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    requests = _Metric(client("cloudwatch"), "Invocations")
    rate = {"Id": "rate", "Expression": "IF(requests > 0, 100 * errors / requests, 0)", "ReturnData": True}
    _minute(later)
    name = alarm(Metrics=[metric.query("errors"), requests.query("requests"), rate], Threshold=5)
    metric.put(Value=2)
    requests.put(Values=[1.0], Counts=[100])
    later(60)
    assert state(name) == "OK"
    metric.put(Value=6)
    requests.put(Values=[1.0], Counts=[100])
    later(60)
    assert state(name) == "ALARM"
    (described,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert [query["Id"] for query in described["Metrics"]] == ["errors", "requests", "rate"]


def test_an_alarm_on_a_percentile(
    metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    _minute(later)
    slow = alarm(
        Metrics=[metric.query("slowest", "p99", returned=True)], Threshold=100, TreatMissingData="notBreaching"
    )
    metric.put(Values=[50.0, 500.0], Counts=[199, 1])
    later(60)
    assert state(slow) == "OK"
    metric.put(Values=[50.0, 500.0], Counts=[95, 5])
    later(60)
    assert state(slow) == "ALARM"


def test_an_alarm_of_ten_seconds_is_evaluated_every_ten(
    metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    _minute(later)
    name = alarm(Period=10, EvaluationPeriods=2)
    metric.put(Value=11)
    later(10)
    metric.put(Value=11)
    later(10)
    assert state(name) == "ALARM"


def test_a_change_of_state_is_an_event_and_a_message(
    client: Clients, metric: _Metric, alarm: Callable[..., str], told: Any, later: Later
) -> None:
    topic = client("sns").create_topic(Name=f"alarms-{uuid.uuid4().hex[:8]}")["TopicArn"]
    queue = client("sqs").create_queue(QueueName=f"alarms-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    _minute(later)
    name = alarm(AlarmActions=[topic])
    received = told({"source": ["aws.cloudwatch"], "detail": {"alarmName": [name]}})
    metric.put(Value=11)
    later(60)

    (event,) = received()
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert (event["detail"]["previousState"]["value"], event["detail"]["state"]["value"]) == (
        "INSUFFICIENT_DATA",
        "ALARM",
    )
    (watched,) = event["detail"]["configuration"]["metrics"]
    assert watched["metricStat"]["metric"]["dimensions"] == {"EndpointName": "one"}
    (message,) = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] == "ALARM"
    later(60)
    assert received() == []


def test_a_state_can_be_set_until_the_next_evaluation(
    client: Clients, metric: _Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    _minute(later)
    name = alarm()
    metric.put(Value=1)
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    assert state(name) == "ALARM"
    later(60)
    assert state(name) == "OK"


def test_a_composite_alarm_follows_its_alarms(
    client: Clients, metric: _Metric, alarm: Callable[..., str], later: Later
) -> None:
    _minute(later)
    name = alarm()
    both = f"{name}-both"
    client("cloudwatch").put_composite_alarm(AlarmName=both, AlarmRule=f'ALARM("{name}")')
    metric.put(Value=11)
    later(60)
    (described,) = client("cloudwatch").describe_alarms(AlarmNames=[both], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    client("cloudwatch").delete_alarms(AlarmNames=[both])
    assert described["StateValue"] == "ALARM"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Period": 45}, "Period must be 10, 20, 30, or a multiple of 60"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
        ({"ExtendedStatistic": "p99"}, "Give either Statistic or ExtendedStatistic"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "anomaly detection"),
        ({"TreatMissingData": "zero"}, "TreatMissingData must be one of"),
        ({"Period": 3600, "EvaluationPeriods": 5}, "the embedded AWS keeps metrics for 10800 s"),
    ],
)
def test_an_alarm_that_cannot_be_evaluated_is_refused(
    alarm: Callable[..., str], code_of: Any, changes: dict[str, Any], reason: str
) -> None:
    refused = code_of(alarm, **changes)
    assert refused.code == "ValidationError"
    assert reason in refused.message


def test_an_expression_over_what_there_is_not_is_refused(metric: _Metric, alarm: Any, code_of: Any) -> None:
    rate = {"Id": "rate", "Expression": "errors / requests", "ReturnData": True}
    refused = code_of(alarm, Metrics=[metric.query("errors"), rate])
    assert "the ids requests are not among the queries" in refused.message


def _template(threshold: Any, **changes: Any) -> dict[str, Any]:
    def query(name: str) -> dict[str, Any]:
        dimensions = [{"Name": "EndpointName", "Value": "one"}]
        metric = {"Namespace": "Test/Stack", "MetricName": name, "Dimensions": dimensions}
        return {
            "Id": name,
            "MetricStat": {"Metric": metric, "Period": "60", "Stat": "Sum"},
            "ReturnData": "false",
        }

    properties = {
        "Metrics": [query("errors"), query("requests"), {"Id": "rate", "Expression": "100 * errors / requests"}],
        "Threshold": threshold,
        "EvaluationPeriods": "1",
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties | changes}}


def test_a_stack_has_an_alarm_with_metric_math_that_keeps_its_state_when_changed(
    client: Clients, operate: Callable[..., str], later: Later
) -> None:
    assert operate("create", "alarms", _template("5")) == "CREATE_COMPLETE"
    _minute(later)
    (resource,) = client("cloudformation").describe_stack_resources(StackName="alarms")["StackResources"]
    name = resource["PhysicalResourceId"]
    assert name.startswith("alarms-Alarm-")
    later(60)

    assert operate("update", "alarms", _template(7.5)) == "UPDATE_COMPLETE"

    (described,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (described["Threshold"], described["StateValue"]) == (7.5, "OK")
    assert operate("delete", "alarms") == "DELETE_COMPLETE"
    assert client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_an_alarm_that_is_wrong_fails_its_stack_with_the_services_words(
    operate: Callable[..., str], reason: Callable[[str, str], str]
) -> None:
    assert operate("create", "wrong-alarm", _template(5, DatapointsToAlarm=3)) == "ROLLBACK_COMPLETE"
    assert "DatapointsToAlarm must be less than" in reason("wrong-alarm", "Alarm")
    operate("delete", "wrong-alarm")


def test_an_alarm_and_what_it_saw_outlive_the_server(
    own_aws: EmbeddedAws, clients_of: Callable[[EmbeddedAws], Clients]
) -> None:
    own_aws.up()
    cloudwatch = clients_of(own_aws)("cloudwatch")
    metric = _Metric(cloudwatch)
    _minute(lambda seconds: own_aws.set_clock(advance_s=seconds))
    request = metric.described | {"EvaluationPeriods": 2, "Threshold": 10, "ComparisonOperator": "GreaterThanThreshold"}
    cloudwatch.put_metric_alarm(AlarmName="lasting", Statistic="Sum", Period=60, **request)
    metric.put(Value=11)
    own_aws.set_clock(advance_s=60)
    metric.put(Value=11)
    own_aws.down()
    own_aws.up()
    own_aws.set_clock(advance_s=60)

    cloudwatch = clients_of(own_aws)("cloudwatch")
    (described,) = cloudwatch.describe_alarms(AlarmNames=["lasting"])["MetricAlarms"]
    assert described["StateValue"] == "ALARM"
    assert "2 out of the last 2 datapoints" in described["StateReason"]
