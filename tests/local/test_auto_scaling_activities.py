"""Auto Scaling says what it did: as activities, as events, to functions and topics."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.account import ROLE
from tests.local.auto_scaling_groups import BOOT_S, ids

Clients = Callable[[str], Any]


def test_an_activity_says_what_was_launched_and_why(group: Any, activities: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    (activity,) = activities(name)
    (identifier,) = ids(described(name))
    assert activity["Description"] == f"Launching a new EC2 instance: {identifier}"
    assert activity["Cause"].endswith(
        "an instance was started in response to a difference between desired and actual capacity, increasing the "
        "capacity from 0 to 1."
    )


def test_a_cause_begins_with_the_request(group: Any, activities: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(BOOT_S)
    said = " a user request explicitly set group desired capacity changing the desired capacity from 0 to 1.  At "
    assert said in activities(name)[0]["Cause"]


def test_an_activity_has_the_times_of_the_clock(group: Any, activities: Any, later: Any) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    (activity,) = activities(name)
    assert (activity["EndTime"] - activity["StartTime"]).total_seconds() == pytest.approx(30, abs=1)


def test_the_end_of_a_launch_is_an_event(
    group: Any, of_group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group()
    events = of_group(name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(BOOT_S)
    (event,) = events()
    (identifier,) = ids(described(name))
    assert event["detail-type"] == "EC2 Instance Launch Successful"
    assert event["resources"] == [
        described(name)["AutoScalingGroupARN"],
        f"arn:aws:ec2:us-east-1:000000000000:instance/{identifier}",
    ]
    told = {key: event["detail"][key] for key in ("EC2InstanceId", "Origin", "Destination", "Details")}
    assert told == {
        "EC2InstanceId": identifier,
        "Origin": "EC2",
        "Destination": "AutoScalingGroup",
        "Details": {"Subnet ID": "subnet-00000001", "Availability Zone": "us-east-1a"},
    }


def test_the_end_of_a_termination_is_an_event(group: Any, of_group: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    events = of_group(name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(10)
    assert [event["detail-type"] for event in events()] == ["EC2 Instance Terminate Successful"]


def test_events_reach_a_lambda_function(client: Clients, later: Any, group: Any, eventually: Any) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "main.py",
            "import boto3, json\n"
            "def handler(event, context):\n"
            "    boto3.client('s3').put_object(Bucket='seen', Key=event['id'], Body=json.dumps(event))\n",
        )
    client("s3").create_bucket(Bucket="seen")
    made = client("lambda").create_function(
        FunctionName="seen",
        Runtime="python3.13",
        Handler="main.handler",
        Role=ROLE,
        Code={"ZipFile": code.getvalue()},
    )
    name = group()
    pattern = {"source": ["aws.autoscaling"], "detail": {"AutoScalingGroupName": [name]}}
    client("events").put_rule(Name="seen", EventPattern=json.dumps(pattern))
    client("lambda").add_permission(
        FunctionName="seen", StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    client("events").put_targets(Rule="seen", Targets=[{"Id": "function", "Arn": made["FunctionArn"]}])

    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(BOOT_S)

    (seen,) = eventually(lambda: client("s3").list_objects_v2(Bucket="seen").get("Contents"))
    event = json.loads(client("s3").get_object(Bucket="seen", Key=seen["Key"])["Body"].read())
    assert (event["source"], event["detail-type"]) == ("aws.autoscaling", "EC2 Instance Launch Successful")


def test_a_notification_topic_is_told(group: Any, later: Any, client: Clients) -> None:
    topic = client("sns").create_topic(Name="launches")["TopicArn"]
    queue = client("sqs").create_queue(QueueName="launches")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    name = group(DesiredCapacity=1)
    kinds = ["autoscaling:EC2_INSTANCE_LAUNCH"]
    client("autoscaling").put_notification_configuration(
        AutoScalingGroupName=name, TopicARN=topic, NotificationTypes=kinds
    )
    later(BOOT_S)
    (message,) = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(json.loads(message["Body"])["Message"])
    assert (told["Event"], told["AutoScalingGroupName"]) == (kinds[0], name)
