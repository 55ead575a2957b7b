"""The types a fleet's stack needs beside those of Auto Scaling: as AWS makes, changes and refuses them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

Clients = Callable[[str], Any]
Resources = dict[str, Any]
Operate = Callable[..., str]


@pytest.fixture
def outputs(client: Clients) -> Callable[[str], dict[str, str]]:
    """What the stack's Outputs say; here they are SSM parameters' values, so that Fn::GetAtt is what is tested."""

    def read(stack: str) -> dict[str, str]:
        resources = client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {
            found["LogicalResourceId"]: client("ssm").get_parameter(Name=found["PhysicalResourceId"])["Parameter"][
                "Value"
            ]
            for found in resources
            if found["ResourceType"] == "AWS::SSM::Parameter"
        }

    return read


def _said(value: Any, *after: str) -> Resources:
    properties = {"Type": "String", "Value": value}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties, **({"DependsOn": list(after)} if after else {})}


def _balanced(kind: str, *, subnets: tuple[str, ...] = ("A", "B")) -> Resources:
    protocol = "TCP" if kind == "network" else "HTTP"
    subnet = {
        name: {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": {"Ref": "Vpc"},
                "CidrBlock": f"10.0.{number}.0/24",
                "AvailabilityZoneId": f"use1-az{number}",
            },
        }
        for number, name in enumerate(("A", "B"), 1)
    }
    return subnet | {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Balancer": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {
                "Type": kind,
                "Scheme": "internal",
                "Subnets": [{"Ref": name} for name in subnets],
                "LoadBalancerAttributes": [{"Key": "deletion_protection.enabled", "Value": "false"}],
            },
        },
        "Targets": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "Port": 8080, "Protocol": protocol, "TargetType": "instance"},
        },
        "Listener": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 80,
                "Protocol": protocol,
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}],
            },
        },
        "FullName": _said({"Fn::GetAtt": ["Balancer", "LoadBalancerFullName"]}),
        "Dns": _said({"Fn::GetAtt": ["Balancer", "DNSName"]}),
        "TargetsName": _said({"Fn::GetAtt": ["Targets", "TargetGroupFullName"]}),
        "Behind": _said({"Fn::Join": [",", {"Fn::GetAtt": ["Targets", "LoadBalancerArns"]}]}, "Listener"),
        "ListenerArn": _said({"Fn::GetAtt": ["Listener", "ListenerArn"]}),
    }


@pytest.mark.parametrize(("kind", "short", "protocol"), [("application", "app", "HTTP"), ("network", "net", "TCP")])
def test_a_load_balancer_has_the_names_of_its_kind(
    kind: str, short: str, protocol: str, client: Clients, operate: Operate, outputs: Any
) -> None:
    elb = client("elbv2")
    assert operate("create", f"lb-{kind}", _balanced(kind)) == "CREATE_COMPLETE"

    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    said = outputs(f"lb-{kind}")
    assert said["FullName"] == arn.partition(":loadbalancer/")[2]
    assert said["FullName"].startswith(f"{short}/")
    assert said["Dns"] == balancer["DNSName"]
    assert said["Behind"] == arn
    assert [zone["ZoneName"] for zone in balancer["AvailabilityZones"]] == ["us-east-1a", "us-east-1b"]
    (targets,) = elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]
    assert targets["TargetGroupArn"].endswith(said["TargetsName"])
    assert targets["HealthCheckProtocol"] == protocol
    (listener,) = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert listener["ListenerArn"] == said["ListenerArn"]
    assert f":listener/{short}/" in listener["ListenerArn"]
    (rule,) = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    assert rule["Actions"][0]["TargetGroupArn"] == targets["TargetGroupArn"]

    changed = _balanced(kind)
    changed["Listener"]["Properties"]["Port"] = 8443
    changed["Targets"]["Properties"]["HealthCheckPath"] = "/ping"
    changed["Balancer"]["Properties"]["LoadBalancerAttributes"][0]["Value"] = "true"
    assert operate("update", f"lb-{kind}", changed) == "UPDATE_COMPLETE"

    (after,) = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert (after["ListenerArn"], after["Port"]) == (listener["ListenerArn"], 8443)
    (targets,) = elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]
    assert (targets["HealthCheckPath"], targets["HealthCheckProtocol"]) == ("/ping", protocol)
    assert operate("delete", f"lb-{kind}") == "DELETE_COMPLETE"
    assert arn not in [each["LoadBalancerArn"] for each in elb.describe_load_balancers()["LoadBalancers"]]
    left = [each["TargetGroupArn"] for each in elb.describe_target_groups()["TargetGroups"]]
    assert targets["TargetGroupArn"] not in left


def test_an_application_load_balancer_in_one_zone_is_refused(operate: Operate, reason: Any) -> None:
    assert operate("create", "one-zone", _balanced("application", subnets=("A",))) == "ROLLBACK_COMPLETE"

    assert "At least two subnets in two different Availability Zones" in reason("one-zone", "Balancer")
    operate("delete", "one-zone")


def test_a_network_load_balancer_may_lie_in_one_zone(operate: Operate) -> None:
    assert operate("create", "one-zone-nlb", _balanced("network", subnets=("A",))) == "CREATE_COMPLETE"
    operate("delete", "one-zone-nlb")


_RESERVATION = "arn:aws:ec2:us-east-1:000000000000:capacity-reservation/cr-0123456789abcdef{}"


def _group(*reservations: int) -> Resources:
    pool = {"Type": "AWS::EC2::CapacityReservationPool"}
    only = {"Name": "allowed-resource-types", "Values": ["AWS::EC2::CapacityReservation"]}
    return {
        "Group": {
            "Type": "AWS::ResourceGroups::Group",
            "Properties": {
                "Name": "reserved",
                "Configuration": [pool, {"Type": "AWS::ResourceGroups::Generic", "Parameters": [only]}],
                "Resources": [_RESERVATION.format(number) for number in reservations],
                "Tags": [{"Key": "team", "Value": "ml"}],
            },
        },
        "Arn": _said({"Fn::GetAtt": ["Group", "Arn"]}),
        "Name": _said({"Ref": "Group"}),
    }


def test_a_resource_group_holds_the_reservations_of_its_template(
    client: Clients, operate: Operate, outputs: Any
) -> None:
    groups = client("resource-groups")
    assert operate("create", "grouped", _group(0, 1)) == "CREATE_COMPLETE"

    said = outputs("grouped")
    assert said == {"Name": "reserved", "Arn": "arn:aws:resource-groups:us-east-1:000000000000:group/reserved"}
    configuration = groups.get_group_configuration(Group=said["Arn"])["GroupConfiguration"]["Configuration"]
    assert [item["Type"] for item in configuration] == [
        "AWS::EC2::CapacityReservationPool",
        "AWS::ResourceGroups::Generic",
    ]
    assert groups.get_tags(Arn=said["Arn"])["Tags"]["team"] == "ml"

    def members() -> list[str]:
        listed = groups.list_group_resources(Group="reserved")["Resources"]
        return [item["Identifier"]["ResourceArn"] for item in listed]

    assert members() == [_RESERVATION.format(0), _RESERVATION.format(1)]
    assert operate("update", "grouped", _group(1, 2)) == "UPDATE_COMPLETE"
    assert members() == [_RESERVATION.format(1), _RESERVATION.format(2)]
    assert operate("delete", "grouped") == "DELETE_COMPLETE"
    assert "reserved" not in [each["GroupName"] for each in groups.list_groups()["GroupIdentifiers"]]


def test_a_resource_group_of_nonsense_leaves_nothing_behind(client: Clients, operate: Operate, reason: Any) -> None:
    resources = {"Group": _group()["Group"]}
    resources["Group"]["Properties"]["Resources"] = ["cr-0123456789abcdef0"]

    assert operate("create", "nonsense", resources) == "ROLLBACK_COMPLETE"

    assert "Member must satisfy regular expression pattern" in reason("nonsense", "Group")
    left = client("resource-groups").list_groups()["GroupIdentifiers"]
    assert "reserved" not in [each["GroupName"] for each in left]
    operate("delete", "nonsense")


def _template(user_data: str, **more: Any) -> Resources:
    return {
        "Template": {
            "Type": "AWS::EC2::LaunchTemplate",
            "Properties": {"LaunchTemplateData": {"ImageId": "ami-0123456789abcdef0", "UserData": user_data}},
        },
        "Latest": _said({"Fn::GetAtt": ["Template", "LatestVersionNumber"]}),
        "Id": _said({"Ref": "Template"}),
    } | more


def test_every_change_of_a_launch_template_is_a_new_version_beside_the_old_ones(
    client: Clients, operate: Operate, outputs: Any
) -> None:
    operate("create", "versions", _template("b25l"))
    identifier = outputs("versions")["Id"]
    assert outputs("versions")["Latest"] == "1"

    operate("update", "versions", _template("dHdv"))
    assert outputs("versions") == {"Id": identifier, "Latest": "2"}
    operate("update", "versions", _template("dHdv", Topic={"Type": "AWS::SNS::Topic"}))
    assert outputs("versions")["Latest"] == "2"

    broken = _template("dGhyZWU=", Target=_impossible())
    assert operate("update", "versions", broken) == "UPDATE_ROLLBACK_COMPLETE"

    listed = client("ec2").describe_launch_template_versions(LaunchTemplateId=identifier)["LaunchTemplateVersions"]
    by_number = {item["VersionNumber"]: item["LaunchTemplateData"]["UserData"] for item in listed}
    assert by_number == {1: "b25l", 2: "dHdv", 3: "dGhyZWU=", 4: "dHdv"}
    assert by_number[int(outputs("versions")["Latest"])] == "dHdv"
    operate("delete", "versions")


def _impossible() -> Resources:
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "DependsOn": "Latest",
        "Properties": {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "endpoint/any/variant/Main",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "MinCapacity": 4,
            "MaxCapacity": 1,
        },
    }


def test_ref_of_an_instance_profile_is_its_name(client: Clients, operate: Operate, outputs: Any) -> None:
    trust = {"Version": "2012-10-17", "Statement": []}
    resources: Resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
        "Other": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
        "Name": _said({"Ref": "Profile"}),
        "Arn": _said({"Fn::GetAtt": ["Profile", "Arn"]}),
    }
    operate("create", "profile", resources)
    said = outputs("profile")
    iam = client("iam")
    profile = iam.get_instance_profile(InstanceProfileName=said["Name"])["InstanceProfile"]
    assert profile["Arn"] == said["Arn"]

    changed = copy.deepcopy(resources)
    changed["Profile"]["Properties"]["Roles"] = [{"Ref": "Other"}]
    assert operate("update", "profile", changed) == "UPDATE_COMPLETE"

    after = iam.get_instance_profile(InstanceProfileName=said["Name"])["InstanceProfile"]
    assert after["InstanceProfileId"] == profile["InstanceProfileId"]
    assert after["Roles"][0]["RoleName"] != profile["Roles"][0]["RoleName"]
    assert operate("delete", "profile") == "DELETE_COMPLETE"
    assert iam.list_instance_profiles()["InstanceProfiles"] == []


_FLEET_PATTERN = {
    "source": ["aws.autoscaling", "aws.ec2", "test.fleet"],
    "$or": [
        {"detail": {"AutoScalingGroupName": [{"prefix": "fleet-"}]}},
        {
            "detail-type": ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"],
        },
        {"detail": {"capacity-reservation-id": ["cr-1", "cr-2"]}},
    ],
}


def _rule(pattern: dict[str, Any]) -> Resources:
    queue = {"Fn::GetAtt": ["Queue", "Arn"]}
    return {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": pattern,
                "State": "ENABLED",
                "Targets": [{"Id": "Target0", "Arn": queue, "Input": json.dumps({"action": "show"})}],
            },
        },
        "Whole": {
            "Type": "AWS::Events::Rule",
            "Properties": {"EventPattern": pattern, "Targets": [{"Id": "Target0", "Arn": queue}]},
        },
    }


@pytest.mark.parametrize(
    ("kind", "detail", "matches"),
    [
        ("EC2 Instance Launch Successful", {"AutoScalingGroupName": "fleet-spot"}, True),
        ("EC2 Instance Launch Successful", {"AutoScalingGroupName": "other"}, False),
        ("EC2 Spot Instance Interruption Warning", {"instance-id": "i-1"}, True),
        ("Capacity Block Reservation Expiration Warning", {"capacity-reservation-id": "cr-2"}, True),
        ("Capacity Block Reservation Expiration Warning", {"capacity-reservation-id": "cr-3"}, False),
    ],
)
def test_rules_choose_events_as_fleets_ask(
    kind: str, detail: dict[str, str], matches: bool, client: Clients, ruled: str, eventually: Any
) -> None:
    sqs = client("sqs")
    sqs.purge_queue(QueueUrl=ruled)
    event = {"Source": "test.fleet", "DetailType": kind, "Detail": json.dumps(detail)}
    mark = {"Source": "test.fleet", "DetailType": "EC2 Instance Rebalance Recommendation", "Detail": '{"mark": 1}'}
    client("events").put_events(Entries=[event, mark])

    bodies: list[dict[str, Any]] = []

    def read() -> bool:
        for message in sqs.receive_message(QueueUrl=ruled, MaxNumberOfMessages=10).get("Messages", []):
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=ruled, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies) >= (4 if matches else 2)

    eventually(read)
    assert len(bodies) == (4 if matches else 2)
    assert bodies.count({"action": "show"}) == len(bodies) / 2
    whole = [body["detail"] for body in bodies if "detail" in body]
    assert (detail in whole) is matches


@pytest.fixture(scope="module")
def ruled(client: Clients, operate_on: Operate) -> Any:
    """A stack with two rules of a fleet's pattern that feed one queue; the queue's URL."""
    assert operate_on(client, "create", "ruled", _rule(_FLEET_PATTERN)) == "CREATE_COMPLETE"
    found = client("cloudformation").describe_stack_resource(StackName="ruled", LogicalResourceId="Queue")
    yield found["StackResourceDetail"]["PhysicalResourceId"]
    assert operate_on(client, "delete", "ruled") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"EventPattern": {"source": "aws.ec2"}}, '"source" must be an object or an array'),
        ({"EventPattern": {"source": [{"begins": "aws"}]}}, "Unrecognized match type begins"),
        ({"ScheduleExpression": "every minute"}, "Parameter ScheduleExpression is not valid."),
        ({}, "EventPattern or ScheduleExpression must be specified"),
    ],
)
def test_a_rule_that_could_never_fire_fails_its_stack(
    properties: dict[str, Any], says: str, operate: Operate, reason: Any
) -> None:
    resources = {"Rule": {"Type": "AWS::Events::Rule", "Properties": properties}}

    assert operate("create", "never-fires", resources) == "ROLLBACK_COMPLETE"

    assert says in reason("never-fires", "Rule")
    operate("delete", "never-fires")


def test_a_fleet_is_told_of_by_schedule_alarm_and_topic(client: Clients, operate: Operate, outputs: Any) -> None:
    """What CDK makes for a Lambda function that a schedule calls, an alarm and a topic with a policy."""
    code = "def handler(event, context):\n    return event\n"
    function = {"Fn::GetAtt": ["Function", "Arn"]}
    resources: Resources = {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"ZipFile": code},
                "Handler": "index.handler",
                "Runtime": "python3.11",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
        "Tick": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "ScheduleExpression": "rate(1 minute)",
                "State": "ENABLED",
                "Targets": [{"Arn": function, "Id": "Target0", "Input": '{"action":"limits","min":2,"max":8}'}],
            },
        },
        "May": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": function,
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Tick", "Arn"]},
            },
        },
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Policy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [{"Ref": "Topic"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "cloudwatch.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": {"Ref": "Topic"},
                        }
                    ],
                },
            },
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "NeuronCdk/Fleet",
                "MetricName": "Unplaced",
                "Dimensions": [{"Name": "Fleet", "Value": "serve"}],
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 5,
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
                "AlarmActions": [{"Ref": "Topic"}],
            },
        },
        "AlarmArn": _said({"Fn::GetAtt": ["Alarm", "Arn"]}),
        "AlarmName": _said({"Ref": "Alarm"}),
        "RuleArn": _said({"Fn::GetAtt": ["Tick", "Arn"]}),
    }

    assert operate("create", "told", resources) == "CREATE_COMPLETE"

    said = outputs("told")
    (rule,) = [
        rule for rule in client("events").list_rules()["Rules"] if rule.get("ScheduleExpression") == "rate(1 minute)"
    ]
    assert rule["Arn"] == said["RuleArn"]
    (target,) = client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert json.loads(target["Input"]) == {"action": "limits", "min": 2, "max": 8}
    (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=[said["AlarmName"]])["MetricAlarms"]
    assert alarm["AlarmArn"] == said["AlarmArn"]
    policy = json.loads(client("lambda").get_policy(FunctionName=target["Arn"])["Policy"])
    assert policy["Statement"][0]["Condition"]["ArnLike"]["AWS:SourceArn"] == said["RuleArn"]
    (topic,) = alarm["AlarmActions"]
    attributes = client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    assert "cloudwatch.amazonaws.com" in attributes["Policy"]

    changed = copy.deepcopy(resources)
    changed["Tick"]["Properties"]["Targets"][0]["Input"] = '{"action":"show"}'
    assert operate("update", "told", changed) == "UPDATE_COMPLETE"
    (target,) = client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert json.loads(target["Input"]) == {"action": "show"}
    assert operate("delete", "told") == "DELETE_COMPLETE"
