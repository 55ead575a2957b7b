"""What Auto Scaling refuses, and the words and the form in which it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import botocore.parsers
import pytest

from tests.local.auto_scaling_groups import BOOT_S, ids

Clients = Callable[[str], Any]


def test_a_group_with_instances_is_not_deleted(group: Any, later: Any, client: Clients, code_of: Any) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
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
    later(BOOT_S)
    (identifier,) = ids(described(name))
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


def test_an_internal_error_is_one_that_clients_can_read() -> None:
    from neuron_cdk.local.server.autoscaling import protocol

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("a mistake of ours")

    handle = protocol.handler("autoscaling", {"DescribeAutoScalingGroups": broken})
    body = b"Action=DescribeAutoScalingGroups&Version=2011-01-01"
    status, headers, content = asyncio.run(handle("POST", "/", {}, body, {}))
    answer = {"status_code": status, "headers": headers, "body": content}
    parsed = botocore.parsers.create_parser("query").parse(answer, None)
    assert (status, parsed["Error"]["Code"]) == (500, "InternalFailure")
