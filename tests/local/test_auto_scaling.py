"""Auto Scaling groups act in the embedded AWS: hours of a fleet's life, in jumps of the clock."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

Clients = Callable[[str], Any]
_BOOT = 31


@pytest.fixture
def activities(client: Clients) -> Callable[[str], list[dict[str, Any]]]:
    """A group's activities, newest first."""

    def describe(name: str) -> list[dict[str, Any]]:
        found = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=name)
        return list(found["Activities"])

    return describe


@pytest.fixture
def instance_of(client: Clients) -> Callable[[str], dict[str, Any]]:
    """EC2's description of an instance."""

    def describe(identifier: str) -> dict[str, Any]:
        (reservation,) = client("ec2").describe_instances(InstanceIds=[identifier])["Reservations"]
        return dict(reservation["Instances"][0])

    return describe


def _ids(group: dict[str, Any]) -> list[str]:
    return [each["InstanceId"] for each in group["Instances"]]


def _states(group: dict[str, Any]) -> list[str]:
    return [each["LifecycleState"] for each in group["Instances"]]


# Sizes


def test_a_group_launches_what_is_desired(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=2)
    later(_BOOT)
    assert _states(described(name)) == ["InService", "InService"]


def test_an_instance_is_pending_while_it_boots(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT - 5)
    assert _states(described(name)) == ["Pending"]


def test_a_group_without_a_desired_capacity_has_its_minimum(group: Any, described: Any) -> None:
    assert described(group(MinSize=1))["DesiredCapacity"] == 1


def test_instances_are_spread_over_the_zones(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=4)
    later(_BOOT)
    zones = sorted(each["AvailabilityZone"] for each in described(name)["Instances"])
    assert zones == ["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1b"]


def test_a_group_of_zones_launches_into_their_default_subnets(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1, VPCZoneIdentifier=None, AvailabilityZones=["us-east-1c"])
    later(_BOOT)
    assert [each["AvailabilityZone"] for each in described(name)["Instances"]] == ["us-east-1c"]


def test_a_group_shrinks_to_a_lower_desired_capacity(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=3)
    later(_BOOT)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(10)
    assert len(described(name)["Instances"]) == 1


def test_the_instance_that_leaves_is_terminated(
    group: Any, described: Any, later: Any, client: Clients, instance_of: Any
) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    (identifier,) = _ids(described(name))
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(10)
    assert instance_of(identifier)["State"]["Name"] == "terminated"


def test_the_oldest_leaves_first(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1, VPCZoneIdentifier="subnet-00000001")
    later(_BOOT)
    (oldest,) = _ids(described(name))
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    later(_BOOT)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(10)
    assert oldest not in _ids(described(name))


def test_a_termination_policy_takes_the_newest(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1, VPCZoneIdentifier="subnet-00000001", TerminationPolicies=["NewestInstance"])
    later(_BOOT)
    (oldest,) = _ids(described(name))
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    later(_BOOT)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(10)
    assert _ids(described(name)) == [oldest]


def test_a_protected_instance_stays(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1, NewInstancesProtectedFromScaleIn=True)
    later(_BOOT)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(60)
    assert _states(described(name)) == ["InService"]


@pytest.mark.parametrize(
    ("change", "desired"),
    [({"MinSize": 3}, 3), ({"MaxSize": 1}, 1), ({"MinSize": 1, "MaxSize": 5, "DesiredCapacity": 4}, 4)],
)
def test_an_update_brings_the_desired_capacity_within_its_bounds(
    group: Any, described: Any, client: Clients, change: dict[str, int], desired: int
) -> None:
    name = group(DesiredCapacity=2)
    client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **change)
    assert described(name)["DesiredCapacity"] == desired


# What an instance is


def test_an_instance_is_as_its_template_says(group: Any, described: Any, later: Any, instance_of: Any) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    instance = instance_of(_ids(described(name))[0])
    told = (instance["InstanceType"], instance["ImageId"], instance["SubnetId"], instance["State"]["Name"])
    assert told == ("inf2.xlarge", "ami-0123456789abcdef0", "subnet-00000001", "running")


def test_tags_of_template_and_group_propagate(
    group: Any, described: Any, later: Any, instance_of: Any, launch_template: Any
) -> None:
    specification = [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}]
    template = launch_template(TagSpecifications=specification)
    tags = [
        {"Key": "team", "Value": "ml", "PropagateAtLaunch": True},
        {"Key": "cost", "Value": "1", "PropagateAtLaunch": False},
    ]
    name = group(DesiredCapacity=1, Tags=tags, LaunchTemplate={"LaunchTemplateId": template, "Version": "1"})
    later(_BOOT)
    instance = instance_of(_ids(described(name))[0])
    assert {tag["Key"]: tag["Value"] for tag in instance["Tags"]} == {
        "from": "template",
        "team": "ml",
        "aws:autoscaling:groupName": name,
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": "1",
    }


@pytest.mark.parametrize(("version", "launched"), [("1", "1"), ("$Default", "1"), ("$Latest", "2")])
def test_the_version_of_the_template_is_found_at_launch(
    group: Any, described: Any, later: Any, client: Clients, launch_template: Any, version: str, launched: str
) -> None:
    template = launch_template()
    name = group(LaunchTemplate={"LaunchTemplateId": template, "Version": version})
    data = {"ImageId": "ami-11111111111111111", "InstanceType": "inf2.8xlarge"}
    client("ec2").create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(_BOOT)
    assert described(name)["Instances"][0]["LaunchTemplate"]["Version"] == launched


def test_a_policy_of_mixed_instances_is_kept_whole(group: Any, described: Any, launch_template: Any) -> None:
    template = launch_template()
    distribution = {
        "OnDemandAllocationStrategy": "prioritized",
        "DistributionSegments": [{"TargetCapacityTypes": ["on-demand-capacity-reservation", "on-demand"]}],
    }
    overrides = [{"InstanceType": "inf2.xlarge"}, {"InstanceType": "inf2.8xlarge"}]
    wanted = {"LaunchTemplateId": template, "Version": "1"}
    policy = {
        "LaunchTemplate": {"LaunchTemplateSpecification": wanted, "Overrides": overrides},
        "InstancesDistribution": distribution,
    }
    kept = described(group(MixedInstancesPolicy=policy))["MixedInstancesPolicy"]
    kept["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName")
    assert kept == policy


def test_what_else_a_group_is_given_is_described(group: Any, described: Any) -> None:
    given = {
        "CapacityReservationSpecification": {"CapacityReservationPreference": "none"},
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 600,
        "CapacityRebalance": True,
        "MaxInstanceLifetime": 86_400,
        "InstanceMaintenancePolicy": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 120},
        "DefaultInstanceWarmup": 60,
    }
    kept = described(group(**given))
    assert {name: kept[name] for name in given} == given


# What it did


def test_an_activity_says_what_was_launched_and_why(group: Any, activities: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    (activity,) = activities(name)
    (identifier,) = _ids(described(name))
    assert activity["Description"] == f"Launching a new EC2 instance: {identifier}"
    assert activity["Cause"].endswith(
        "an instance was started in response to a difference between desired and actual capacity, increasing the "
        "capacity from 0 to 1."
    )


def test_a_cause_begins_with_the_request(group: Any, activities: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(_BOOT)
    said = " a user request explicitly set group desired capacity changing the desired capacity from 0 to 1.  At "
    assert said in activities(name)[0]["Cause"]


def test_an_activity_has_the_times_of_the_clock(group: Any, activities: Any, later: Any) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    (activity,) = activities(name)
    assert (activity["EndTime"] - activity["StartTime"]).total_seconds() == pytest.approx(30, abs=1)


def test_the_end_of_a_launch_is_an_event(
    group: Any, of_group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group()
    events = of_group(name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(_BOOT)
    (event,) = events()
    (identifier,) = _ids(described(name))
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
    later(_BOOT)
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
        Role="arn:aws:iam::000000000000:role/neuron",
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
    later(_BOOT)

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
    later(_BOOT)
    (message,) = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(json.loads(message["Body"])["Message"])
    assert (told["Event"], told["AutoScalingGroupName"]) == (kinds[0], name)


# Health and age


def test_an_instance_that_somebody_terminates_is_replaced(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    before = _ids(described(name))
    client("ec2").terminate_instances(InstanceIds=before)
    later(_BOOT + 5)
    after = described(name)
    assert (_states(after), _ids(after) == before) == (["InService"], False)


def test_an_instance_said_to_be_unhealthy_is_replaced(
    group: Any, activities: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    (identifier,) = _ids(described(name))
    client("autoscaling").set_instance_health(InstanceId=identifier, HealthStatus="Unhealthy")
    later(_BOOT + 5)
    assert "in response to an unhealthy instance needing to be replaced" in activities(name)[0]["Cause"]


def test_an_instance_is_terminated_on_request_and_replaced(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    before = _ids(described(name))
    client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=before[0], ShouldDecrementDesiredCapacity=False
    )
    later(_BOOT + 5)
    assert (len(_ids(described(name))), _ids(described(name)) == before) == (1, False)


def test_an_instance_is_terminated_on_request_and_not_replaced(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=_ids(described(name))[0], ShouldDecrementDesiredCapacity=True
    )
    later(_BOOT)
    assert _ids(described(name)) == []


def test_an_instance_is_replaced_at_its_greatest_age(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1, MaxInstanceLifetime=86_400)
    later(_BOOT)
    before = _ids(described(name))
    later(86_400 + _BOOT)
    assert _ids(described(name)) != before


def test_a_maintenance_policy_launches_the_successor_first(group: Any, described: Any, later: Any) -> None:
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110}
    name = group(DesiredCapacity=2, MaxInstanceLifetime=86_400, InstanceMaintenancePolicy=policy)
    later(_BOOT)
    later(86_400 - 20)
    assert sorted(_states(described(name))) == ["InService", "InService", "Pending"]


def test_a_suspended_group_launches_nothing(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(_BOOT)
    assert _ids(described(name)) == []


def test_a_resumed_group_launches_what_is_missing(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").suspend_processes(AutoScalingGroupName=name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    client("autoscaling").resume_processes(AutoScalingGroupName=name)
    later(_BOOT)
    assert _states(described(name)) == ["InService"]


def test_instances_in_service_are_targets_of_the_load_balancer(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    made = client("elbv2").create_target_group(Name="serve", Protocol="HTTP", Port=8080, VpcId="vpc-00000001")
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    name = group(DesiredCapacity=1, TargetGroupARNs=[arn])
    later(_BOOT)
    healthy = client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [each["Target"]["Id"] for each in healthy] == _ids(described(name))


# Schedules


def test_a_scheduled_action_resizes_at_its_moment(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    start = datetime.fromtimestamp(later(0) + 3600, UTC)
    client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=name, ScheduledActionName="up", StartTime=start, MinSize=1, MaxSize=3, DesiredCapacity=2
    )
    later(3600 + _BOOT)
    now = described(name)
    assert (now["MinSize"], now["MaxSize"], _states(now)) == (1, 3, ["InService"] * 2)


def test_an_action_that_recurs_acts_every_day(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=name, ScheduledActionName="morning", Recurrence="0 8 * * *", DesiredCapacity=1
    )
    for _ in range(2):
        later(86_400)
        assert described(name)["DesiredCapacity"] == 1
        client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)


def test_the_next_moment_of_a_recurring_action_is_in_its_time_zone(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group()
    now = time.gmtime(later(0))
    client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=name,
        ScheduledActionName="next-hour-in-tokyo",
        Recurrence=f"0 {(now.tm_hour + 10) % 24} * * *",
        TimeZone="Asia/Tokyo",
        DesiredCapacity=1,
    )
    later(3600)
    assert described(name)["DesiredCapacity"] == 1


# Policies


def test_a_scaling_policy_is_kept_and_described(group: Any, client: Clients) -> None:
    name = group()
    metric = {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        "TargetValue": 70.0,
    }
    client("autoscaling").put_scaling_policy(
        AutoScalingGroupName=name,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=metric,
    )
    (policy,) = client("autoscaling").describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
    assert policy["TargetTrackingConfiguration"] == metric


# What is refused


def test_a_group_with_instances_is_not_deleted(group: Any, later: Any, client: Clients, code_of: Any) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    error = code_of(client("autoscaling").delete_auto_scaling_group, AutoScalingGroupName=name)
    assert (error.code, error.message) == (
        "ResourceInUse",
        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in "
        "the group.",
    )


def test_a_forced_delete_takes_the_instances_too(
    group: Any, described: Any, later: Any, client: Clients, instance_of: Any
) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    (identifier,) = _ids(described(name))
    client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    assert instance_of(identifier)["State"]["Name"] == "terminated"


_REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "set_desired_capacity",
        {"DesiredCapacity": 9},
        "ValidationError",
        "New SetDesiredCapacity value 9 is above max value 8 for the AutoScalingGroup.",
    ),
    (
        "set_desired_capacity",
        {"DesiredCapacity": 0},
        "ValidationError",
        "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.",
    ),
    (
        "update_auto_scaling_group",
        {"MinSize": 9},
        "ValidationError",
        "Max bound, 8, must be greater than or equal to min bound, 9",
    ),
    (
        "update_auto_scaling_group",
        {"DesiredCapacity": 9},
        "ValidationError",
        "Desired capacity:9 must be between the specified min size:1 and max size:8",
    ),
    (
        "update_auto_scaling_group",
        {"LaunchTemplate": {"LaunchTemplateId": "lt-0123456789abcdef0"}},
        "ValidationError",
        "You must use a valid fully-formed launch template. The specified launch template, with template ID "
        "lt-0123456789abcdef0, does not exist.",
    ),
    (
        "complete_lifecycle_action",
        {"LifecycleHookName": "none", "LifecycleActionResult": "CONTINUE", "InstanceId": "i-0123456789abcdef0"},
        "ValidationError",
        "No Lifecycle Hook found - none",
    ),
    (
        "put_scheduled_update_group_action",
        {"ScheduledActionName": "x", "Recurrence": "every day", "DesiredCapacity": 1},
        "ValidationError",
        "Given recurrence string: every day is invalid: it has five fields: minute, hour, day of the month, month, day "
        "of the week",
    ),
    (
        "cancel_instance_refresh",
        {},
        "ActiveInstanceRefreshNotFound",
        "No in progress or pending Instance Refresh found for Auto Scaling group {name}",
    ),
]


@pytest.mark.parametrize(("operation", "request_", "code", "message"), _REFUSED)
def test_says_what_is_wrong_as_aws_does(
    group: Any, client: Clients, code_of: Any, operation: str, request_: dict[str, Any], code: str, message: str
) -> None:
    name = group(MinSize=1)
    error = code_of(getattr(client("autoscaling"), operation), AutoScalingGroupName=name, **request_)
    assert (error.code, error.message) == (code, message.format(name=name))


def test_a_name_is_given_once(group: Any, client: Clients, code_of: Any) -> None:
    name = group()
    whole = {"MinSize": 0, "MaxSize": 1, "AvailabilityZones": ["us-east-1a"]}
    error = code_of(client("autoscaling").create_auto_scaling_group, AutoScalingGroupName=name, **whole)
    assert error.code == "AlreadyExists"


def test_a_group_launches_from_something(client: Clients, code_of: Any) -> None:
    whole = {"MinSize": 0, "MaxSize": 1, "AvailabilityZones": ["us-east-1a"]}
    error = code_of(client("autoscaling").create_auto_scaling_group, AutoScalingGroupName="none", **whole)
    assert error.message == (
        "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
        "MixedInstancesPolicy parameter."
    )
