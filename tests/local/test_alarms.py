"""Alarms of the embedded AWS, on its clock: what they follow, whom they tell, and what cannot be one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.metrics import Metric, next_minute

Clients = Callable[[str], Any]
Later = Callable[[float], float]


@pytest.fixture(scope="module")
def judging() -> ModuleType:
    """The rules for missing data: they need nothing of the server's environment."""
    import neuron_cdk.local.server.cloudwatch.judging as judging

    return judging


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


def test_an_alarm_follows_its_metric_and_says_why(
    client: Clients, metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    next_minute(later)
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
    metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    next_minute(later)
    name = alarm()
    metric.put(Value=11, Dimensions=[{"Name": "EndpointName", "Value": "other"}])
    later(60)
    assert state(name) == "INSUFFICIENT_DATA"


def test_some_of_several_datapoints_are_enough(
    metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    next_minute(later)
    name = alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    for value, expected in ((11, "OK"), (1, "OK"), (11, "ALARM"), (1, "OK")):
        metric.put(Value=value)
        later(60)
        if value != 11 or expected == "ALARM":
            assert state(name) == expected


def test_an_alarm_on_a_share_of_errors_looks_at_requests_too(
    client: Clients, metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    requests = Metric(client("cloudwatch"), "Invocations")
    rate = {"Id": "rate", "Expression": "IF(requests > 0, 100 * errors / requests, 0)", "ReturnData": True}
    next_minute(later)
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
    metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    next_minute(later)
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
    metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    next_minute(later)
    name = alarm(Period=10, EvaluationPeriods=2)
    metric.put(Value=11)
    later(10)
    metric.put(Value=11)
    later(10)
    assert state(name) == "ALARM"


def test_a_change_of_state_is_an_event_and_a_message(
    client: Clients, metric: Metric, alarm: Callable[..., str], told: Any, later: Later
) -> None:
    topic = client("sns").create_topic(Name=f"alarms-{uuid.uuid4().hex[:8]}")["TopicArn"]
    queue = client("sqs").create_queue(QueueName=f"alarms-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    next_minute(later)
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
    client: Clients, metric: Metric, alarm: Callable[..., str], state: Callable[[str], str], later: Later
) -> None:
    next_minute(later)
    name = alarm()
    metric.put(Value=1)
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    assert state(name) == "ALARM"
    later(60)
    assert state(name) == "OK"


def test_a_composite_alarm_follows_its_alarms(
    client: Clients, metric: Metric, alarm: Callable[..., str], later: Later
) -> None:
    next_minute(later)
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
    next_minute(later)
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
    metric = Metric(cloudwatch)
    next_minute(lambda seconds: own_aws.set_clock(advance_s=seconds))
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
