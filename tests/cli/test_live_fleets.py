"""Fleets read and scaled, with AWS's answers as plain values."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuron_cdk.cli.failure import NotDoneError
from neuron_cdk.cli.live_fleets import LivePool, read, scale

GROUPS = "spot=group-a,on-demand=group-b"


def _group(name: str, desired: int, states: list[str]) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": name,
        "MinSize": 0,
        "MaxSize": 8,
        "DesiredCapacity": desired,
        "Instances": [{"InstanceId": f"i-{index}", "LifecycleState": state} for index, state in enumerate(states)],
    }


@dataclass
class FakeAws:
    """As much of every client as is used, all in one."""

    stacks: dict[str, dict[str, str]]
    groups: list[dict[str, Any]] = field(default_factory=list)
    owns_size: bool = True
    answer: Any = field(default_factory=lambda: {"state": {"target": 3}})
    refuses: str | None = None
    error: ClientError | None = None
    invoked: list[Any] = field(default_factory=list)
    desired: list[dict[str, Any]] = field(default_factory=list)

    def client(self, _service: str) -> Any:
        return self

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803 - boto3's names
        if StackName not in self.stacks:
            error = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}
            raise ClientError(error, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.stacks[StackName].items()]
        return {"Stacks": [{"StackName": StackName, "Outputs": outputs}]}

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, *, AutoScalingGroupNames: list[str]) -> Any:  # noqa: N803
        assert len(AutoScalingGroupNames) <= 50
        found = [group for group in self.groups if group["AutoScalingGroupName"] in AutoScalingGroupNames]
        return [{"AutoScalingGroups": found}]

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803
        event = json.loads(Payload)
        self.invoked.append((FunctionName, event))
        if self.refuses and event["action"] == "target":
            content = json.dumps({"errorMessage": self.refuses, "errorType": "ValueError"})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(content.encode())}
        return {"Payload": io.BytesIO(json.dumps(self.answer).encode())}

    def get_function_configuration(self, *, FunctionName: str) -> Any:  # noqa: N803
        fleet = {"owns_size": self.owns_size, "return_after_s": 900}
        return {"Environment": {"Variables": {"FLEET": json.dumps(fleet)}}}

    def set_desired_capacity(self, **arguments: Any) -> Any:
        if self.error:
            raise self.error
        self.desired.append(arguments)
        return {}


@pytest.fixture
def aws() -> Any:
    outputs = {"AutoScalingGroups": GROUPS, "Controller": "controller-of-serve"}
    groups = [_group("group-a", 3, ["InService", "Pending", "InService"]), _group("group-b", 1, ["InService"])]
    return FakeAws({"prod-Fleet-serve": outputs}, groups)


def test_a_fleet_is_its_pools_in_order_and_its_controllers_target(aws: Any) -> None:
    (fleet,) = read(aws, "prod", ["serve"])

    assert fleet.pools == (
        LivePool("spot", "group-a", min=0, max=8, desired=3, in_service=2),
        LivePool("on-demand", "group-b", min=0, max=8, desired=1, in_service=1),
    )
    assert (fleet.desired, fleet.in_service, fleet.target) == (4, 3, 3)
    assert aws.invoked == [("controller-of-serve", {"action": "show"})]
    assert fleet.to_json()["in_service"] == 3


def test_a_fleet_without_a_stack_is_not_deployed(aws: Any) -> None:
    deployed, missing = read(aws, "prod", ["serve", "train"])

    assert deployed.deployed
    assert not missing.deployed
    assert missing.to_json()["pools"] == ()
    with pytest.raises(NotDoneError, match="fleet train is not deployed: there is no stack prod-Fleet-train"):
        scale(aws, missing, 2)


def test_a_controller_that_fails_does_not_hide_the_groups(aws: Any) -> None:
    aws.answer = "nonsense"
    (fleet,) = read(aws, "prod", ["serve"])

    assert (fleet.desired, fleet.target) == (4, None)


def test_what_a_person_should_know_is_noted(aws: Any) -> None:
    short = {"spot": {"since": 100, "at": 200}, "on-demand": {"since": 100, "at": 100}}
    state = {"now": 999, "target": 9, "unplaced": 2, "short": short, "failing": {"spot": 100}}
    aws.answer = {"state": state, "refreshing": "7"}
    (fleet,) = read(aws, "prod", ["serve"])

    assert fleet.notes == (
        "2 of the target are in no pool: all are short",
        "short of capacity: on-demand, spot",
        "launches fail in spot: see the group's activities",
        "instances are being replaced, for version 7",
    )


def test_what_is_a_pause_ago_is_over(aws: Any) -> None:
    short = {"spot": {"since": 100, "at": 101}, "on-demand": {"since": 50, "at": 100}}
    failing = {"spot": 100, "on-demand": 101}
    aws.answer = {"state": {"now": 1000, "target": 4, "short": short, "failing": failing}}
    (fleet,) = read(aws, "prod", ["serve"])

    assert fleet.notes == ("short of capacity: spot", "launches fail in on-demand: see the group's activities")


def test_the_target_of_a_group_that_aws_scales_is_what_it_asks_for(aws: Any) -> None:
    aws.owns_size = False
    (fleet,) = read(aws, "prod", ["serve"])

    assert fleet.target == fleet.desired == 4


def test_scaling_speaks_to_the_controller(aws: Any) -> None:
    (fleet,) = read(aws, "prod", ["serve"])

    scale(aws, fleet, 5)

    assert aws.invoked[-1] == ("controller-of-serve", {"action": "target", "target": 5})
    assert aws.desired == []


def test_scaling_speaks_to_the_group_that_aws_scales(aws: Any) -> None:
    aws.owns_size = False
    (fleet,) = read(aws, "prod", ["serve"])

    scale(aws, fleet, 5)

    assert aws.desired == [{"AutoScalingGroupName": "group-a", "DesiredCapacity": 5, "HonorCooldown": False}]


def test_a_refusal_is_told_in_the_controllers_words(aws: Any) -> None:
    aws.refuses = "target 9 is outside 1 to 8"
    (fleet,) = read(aws, "prod", ["serve"])

    with pytest.raises(NotDoneError, match="target 9 is outside 1 to 8"):
        scale(aws, fleet, 9)


@pytest.mark.parametrize("target", [-1, 9])
def test_a_size_outside_the_groups_is_refused_in_the_controllers_words(target: int, aws: Any) -> None:
    aws.owns_size = False
    (fleet,) = read(aws, "prod", ["serve"])

    with pytest.raises(NotDoneError, match=f"serve: a target of {target} is not within 0 to 8, the limits in force"):
        scale(aws, fleet, target)
    assert aws.desired == []


def test_a_group_that_is_gone_is_told(aws: Any) -> None:
    aws.owns_size, aws.groups = False, []
    (fleet,) = read(aws, "prod", ["serve"])

    with pytest.raises(NotDoneError, match="fleet serve has lost its Auto Scaling group"):
        scale(aws, fleet, 2)


def test_a_refusal_is_told_in_the_groups_words(aws: Any) -> None:
    aws.owns_size = False
    message = "Scaling activity is in progress and blocks this action"
    aws.error = ClientError({"Error": {"Code": "ScalingActivityInProgress", "Message": message}}, "SetDesiredCapacity")
    (fleet,) = read(aws, "prod", ["serve"])

    with pytest.raises(NotDoneError, match=r"fleet serve cannot have 5 instances: .*blocks this action"):
        scale(aws, fleet, 5)


def test_two_hundred_fleets_are_read_in_calls_aws_takes() -> None:
    names = [f"fleet-{number}" for number in range(200)]
    stacks = {f"prod-Fleet-{name}": {"AutoScalingGroups": f"spot=group-of-{name}"} for name in names}
    aws: Any = FakeAws(stacks, [_group(f"group-of-{name}", 1, ["InService"]) for name in names])

    found = read(aws, "prod", names)

    assert [fleet.name for fleet in found] == names
    assert all(fleet.in_service == 1 for fleet in found)
