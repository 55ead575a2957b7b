"""Auto Scaling in stacks, and across the death of the server."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.auto_scaling_groups import BOOT_S

Clients = Callable[[str], Any]
Resources = dict[str, Any]


def _fleet(size: str = "1", **changes: Any) -> Resources:
    """A group with a hook each way, as a template has it: numbers are text there."""
    name = {"Ref": "Group"}
    return {
        "Template": {
            "Type": "AWS::EC2::LaunchTemplate",
            "Properties": {"LaunchTemplateData": {"ImageId": "ami-0123456789abcdef0", "InstanceType": "inf2.xlarge"}},
        },
        "Group": {
            "Type": "AWS::AutoScaling::AutoScalingGroup",
            "Properties": {
                "MinSize": size,
                "MaxSize": "4",
                "VPCZoneIdentifier": ["subnet-00000001"],
                "Cooldown": "60",
                "LaunchTemplate": {
                    "LaunchTemplateId": {"Ref": "Template"},
                    "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
                },
                "LifecycleHookSpecificationList": [
                    {
                        "LifecycleHookName": "terminate",
                        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                        "HeartbeatTimeout": 300,
                    }
                ],
                "MetricsCollection": [{"Granularity": "1Minute"}],
                "Tags": [{"Key": "team", "Value": "ml", "PropagateAtLaunch": True}],
                **changes,
            },
        },
        "Hook": {
            "Type": "AWS::AutoScaling::LifecycleHook",
            "Properties": {
                "AutoScalingGroupName": name,
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": "600",
            },
        },
        "Policy": {
            "Type": "AWS::AutoScaling::ScalingPolicy",
            "Properties": {
                "AutoScalingGroupName": name,
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingConfiguration": {
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                    "TargetValue": "70",
                },
            },
        },
        "Morning": {
            "Type": "AWS::AutoScaling::ScheduledAction",
            "Properties": {"AutoScalingGroupName": name, "Recurrence": "0 8 * * *", "MinSize": "2"},
        },
        "Warm": {"Type": "AWS::AutoScaling::WarmPool", "Properties": {"AutoScalingGroupName": name, "MinSize": "1"}},
    }


@pytest.fixture
def fast(embedded_aws: EmbeddedAws) -> Any:
    embedded_aws.set_clock(speed=120)
    yield
    embedded_aws.set_clock(speed=1)


@pytest.fixture
def group_of(client: Clients) -> Callable[[str], dict[str, Any]]:
    """The group of a stack, described."""

    def find(stack: str) -> dict[str, Any]:
        return _group_of(client, stack)

    return find


def _group_of(client: Clients, stack: str) -> dict[str, Any]:
    found = client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId="Group")
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return dict(groups[0]) if groups else {}


@pytest.mark.usefixtures("fast")
def test_a_stack_makes_a_group_with_all_that_belongs_to_it(
    client: Clients, operate_on: Any, group_of: Any, eventually: Any
) -> None:
    assert operate_on(client, "create", "fleet", _fleet()) == "CREATE_COMPLETE"
    group = group_of("fleet")
    name = {"AutoScalingGroupName": group["AutoScalingGroupName"]}
    autoscaling = client("autoscaling")
    assert (group["MinSize"], group["DefaultCooldown"], group["LaunchTemplate"]["Version"]) == (1, 60, "1")
    assert len(group["EnabledMetrics"]) > 10
    assert len(autoscaling.describe_lifecycle_hooks(**name)["LifecycleHooks"]) == 2
    assert autoscaling.describe_policies(**name)["ScalingPolicies"][0]["PolicyType"] == "TargetTrackingScaling"
    assert autoscaling.describe_scheduled_actions(**name)["ScheduledUpdateGroupActions"][0]["MinSize"] == 2
    assert autoscaling.describe_warm_pool(**name)["WarmPoolConfiguration"]["MinSize"] == 1
    assert eventually(lambda: any(each["LifecycleState"] == "InService" for each in group_of("fleet")["Instances"]))
    assert operate_on(client, "delete", "fleet") == "DELETE_COMPLETE"


@pytest.mark.usefixtures("fast")
def test_an_update_changes_the_group_in_place(client: Clients, operate_on: Any, group_of: Any) -> None:
    operate_on(client, "create", "changing", _fleet("0"))
    before = group_of("changing")
    changed = _fleet("0", MaxSize="6", Tags=[{"Key": "cost", "Value": "1", "PropagateAtLaunch": False}])
    changed["Template"]["Properties"]["LaunchTemplateData"]["InstanceType"] = "inf2.8xlarge"
    assert operate_on(client, "update", "changing", changed) == "UPDATE_COMPLETE"
    now = group_of("changing")
    assert now["AutoScalingGroupARN"] == before["AutoScalingGroupARN"]
    assert (now["MaxSize"], now["LaunchTemplate"]["Version"]) == (6, "2")
    assert {"cost", "team"} & {tag["Key"] for tag in now["Tags"]} == {"cost"}
    assert operate_on(client, "delete", "changing") == "DELETE_COMPLETE"


@pytest.mark.usefixtures("fast")
def test_an_update_keeps_the_size_that_scaling_chose(client: Clients, operate_on: Any, group_of: Any) -> None:
    operate_on(client, "create", "sized", _fleet("0"))
    name = group_of("sized")["AutoScalingGroupName"]
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    operate_on(client, "update", "sized", _fleet("0", MaxSize="6"))
    assert group_of("sized")["DesiredCapacity"] == 3
    assert operate_on(client, "delete", "sized") == "DELETE_COMPLETE"


@pytest.mark.usefixtures("fast")
def test_a_deleted_stack_lets_its_instances_drain(
    client: Clients, operate_on: Any, group_of: Any, eventually: Any, of_group: Any
) -> None:
    resources = _fleet()
    del resources["Warm"]
    operate_on(client, "create", "leaving", resources)
    eventually(lambda: [each for each in group_of("leaving")["Instances"] if each["LifecycleState"] == "InService"])
    events = of_group(group_of("leaving")["AutoScalingGroupName"])
    assert operate_on(client, "delete", "leaving") == "DELETE_COMPLETE"
    assert [event["detail-type"] for event in events()] == [
        "EC2 Instance-terminate Lifecycle Action",
        "EC2 Instance Terminate Successful",
    ]


def test_what_a_group_refuses_fails_the_stack(client: Clients, operate_on: Any) -> None:
    assert operate_on(client, "create", "refused", _fleet("5")) == "ROLLBACK_COMPLETE"
    events = client("cloudformation").describe_stack_events(StackName="refused")["StackEvents"]
    said = [event.get("ResourceStatusReason", "") for event in events if event["LogicalResourceId"] == "Group"]
    assert any("Max bound, 4, must be greater than or equal to min bound, 5" in each for each in said)


def test_the_delete_of_a_stack_waits_on_the_clock(
    client: Clients, embedded_aws: EmbeddedAws, operate_on: Any, group_of: Any, controlled: Any, eventually: Any
) -> None:
    resources = _fleet()
    del resources["Warm"]
    operate_on(client, "create", "slow", resources)
    embedded_aws.set_clock(advance_s=BOOT_S)
    controlled("instances", terminate="never")
    ended = threading.Thread(target=operate_on, args=(client, "delete", "slow"))
    ended.start()
    eventually(
        lambda: any(each["LifecycleState"] == "Terminating:Wait" for each in group_of("slow").get("Instances", []))
    )
    embedded_aws.set_clock(advance_s=301)
    ended.join(10)
    assert not ended.is_alive()


def test_a_wait_of_step_functions_ends_by_the_clock(
    client: Clients, embedded_aws: EmbeddedAws, eventually: Any
) -> None:
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3000, "End": True}}}
    made = client("stepfunctions").create_state_machine(
        name="waits", definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/neuron"
    )
    arn = client("stepfunctions").start_execution(stateMachineArn=made["stateMachineArn"])["executionArn"]

    def ended() -> bool:
        embedded_aws.set_clock(advance_s=3000)
        status: str = client("stepfunctions").describe_execution(executionArn=arn)["status"]
        return status == "SUCCEEDED"

    assert eventually(ended)


# The server dies


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_fleet_goes_on_where_it_was(
    end: str, own_aws: EmbeddedAws, clients_of: Any, operate_on: Any, eventually: Any
) -> None:
    own_aws.up()
    client = clients_of(own_aws)
    own_aws.control("capacity", {"pools": {"spot": 3}})
    hook = {"LifecycleHookName": "launch", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    resources = _fleet(LifecycleHookSpecificationList=[hook])
    resources = {name: resources[name] for name in ("Template", "Group")}
    operate_on(client, "create", "fleet", resources)
    own_aws.set_clock(advance_s=10)
    (before,) = _group_of(client, "fleet")["Instances"]
    assert before["LifecycleState"] == "Pending:Wait"
    # What happens between operations of CloudFormation is saved half a second later.
    saved = own_aws.state_dir / "aws" / "saved" / "state.json"
    eventually(lambda: {"Pending:Wait", before["InstanceId"]} <= set(re.findall(r"[\w:-]+", saved.read_text())))

    if end == "stop":
        own_aws.down()
    else:
        pid = own_aws.status().pid
        assert pid
        os.kill(pid, signal.SIGKILL)
    own_aws.up()
    client = clients_of(own_aws)

    (now,) = _group_of(client, "fleet")["Instances"]
    assert now["InstanceId"] == before["InstanceId"]
    own_aws.set_clock(advance_s=BOOT_S)
    (after,) = _group_of(client, "fleet")["Instances"]
    assert (after["InstanceId"], after["LifecycleState"]) == (before["InstanceId"], "InService")
    assert own_aws.control("capacity", {"pools": {}})["pools"] == {"spot": 3}
