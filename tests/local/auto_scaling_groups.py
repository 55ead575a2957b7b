"""Auto Scaling groups of the embedded AWS, as tests make and look at them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]

BOOT_S = 31
"""After so long an instance is in service."""


def ids(group: dict[str, Any]) -> list[str]:
    return [each["InstanceId"] for each in group["Instances"]]


def states(group: dict[str, Any]) -> list[str]:
    return [each["LifecycleState"] for each in group["Instances"]]


@pytest.fixture(scope="session")
def launch_template(client: Clients) -> Callable[..., str]:
    """A launch template with this data; its id."""

    def make(**data: Any) -> str:
        whole = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "inf2.xlarge"} | data
        made = client("ec2").create_launch_template(
            LaunchTemplateName=f"template-{uuid.uuid4().hex[:8]}", LaunchTemplateData=whole
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    return make


@pytest.fixture
def group(client: Clients, launch_template: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """An Auto Scaling group of at most eight instances, gone after the test; its name."""
    made: list[str] = []

    def make(**changes: Any) -> str:
        name = f"group-{uuid.uuid4().hex[:8]}"
        request = {"MinSize": 0, "MaxSize": 8, "VPCZoneIdentifier": "subnet-00000001,subnet-00000002"} | changes
        request = {member: value for member, value in request.items() if value is not None}
        if not {"LaunchTemplate", "MixedInstancesPolicy"} & request.keys():
            request["LaunchTemplate"] = {"LaunchTemplateId": launch_template(), "Version": "1"}
        client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **request)
        made.append(name)
        return name

    yield make
    for name in made:
        with suppress(ClientError):  # the test has deleted it
            client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)


@pytest.fixture
def described(client: Clients) -> Callable[[str], dict[str, Any]]:
    """A group as it is described."""

    def describe(name: str) -> dict[str, Any]:
        found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        (one,) = found["AutoScalingGroups"]
        return dict(one)

    return describe


@pytest.fixture
def of_group(told: Any) -> Callable[[str], Callable[[], list[dict[str, Any]]]]:
    """The events of a group, as ``told`` gives them."""

    def listen(name: str) -> Callable[[], list[dict[str, Any]]]:
        pattern = {"source": ["aws.autoscaling"], "detail": {"AutoScalingGroupName": [name]}}
        received: Callable[[], list[dict[str, Any]]] = told(pattern)
        return received

    return listen


@pytest.fixture
def controlled(embedded_aws: EmbeddedAws) -> Iterator[Callable[..., dict[str, Any]]]:
    """Set capacity or the instances' behaviour; as before after the test."""
    limited: set[str] = set()

    def control(name: str, **wanted: Any) -> dict[str, Any]:
        limited.update(wanted.get("pools", {}))
        return embedded_aws.control(name, wanted)

    yield control
    embedded_aws.control("capacity", {"pools": dict.fromkeys(limited)})
    normal = {"boot_s": 30, "warm_boot_s": 10, "drain_s": 5, "launch": "continue", "terminate": "continue"}
    embedded_aws.control("instances", normal)


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
