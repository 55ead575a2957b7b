"""Versions of launch templates: made from another one, once for a token, and deleted; mixed policies that name one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Clients = Callable[[str], Any]


@pytest.fixture
def template(launch_template: Any) -> str:
    return str(launch_template(UserData="b2xk"))


@pytest.fixture
def versions(client: Clients, template: str) -> Callable[[], dict[int, dict[str, Any]]]:
    def describe() -> dict[int, dict[str, Any]]:
        found = client("ec2").describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
        return {one["VersionNumber"]: one["LaunchTemplateData"] for one in found}

    return describe


@pytest.fixture
def make(client: Clients, template: str) -> Callable[..., int]:
    def create(**more: Any) -> int:
        wanted = {"SourceVersion": "1", "LaunchTemplateData": {"UserData": "bmV3"}, **more}
        made = client("ec2").create_launch_template_version(LaunchTemplateId=template, **wanted)
        return int(made["LaunchTemplateVersion"]["VersionNumber"])

    return create


def test_a_version_is_its_source_but_for_what_is_given(versions: Any, make: Any) -> None:
    number = make()
    assert versions()[number] == {**versions()[1], "UserData": "bmV3"}


def test_a_token_makes_one_version(versions: Any, make: Any) -> None:
    assert make(ClientToken="t") == make(ClientToken="t") == 2
    assert sorted(versions()) == [1, 2]


def test_a_source_that_is_not_there_is_refused(make: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.VersionNotFound"):
        make(SourceVersion="9")


def test_versions_are_deleted_but_not_the_default(client: Clients, template: str, versions: Any, make: Any) -> None:
    make()
    answer = client("ec2").delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2", "7"])
    assert [one["VersionNumber"] for one in answer["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    kept = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert [one["VersionNumber"] for one in kept] == [1, 7]
    assert kept[1]["ResponseError"]["Code"] == "launchTemplateVersionDoesNotExist"
    assert sorted(versions()) == [1]


def test_a_number_is_never_given_again(client: Clients, template: str, make: Any) -> None:
    make()
    client("ec2").delete_launch_template_versions(LaunchTemplateId=template, Versions=["2"])
    assert make() == 3


# Mixed policies


@pytest.fixture
def policy(client: Clients, group: Any, template: str, described: Any) -> Callable[..., dict[str, Any]]:
    """Update a group's mixed policy; what it is then."""
    named = {"LaunchTemplateId": template, "Version": "1"}
    whole = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": named,
            "Overrides": [{"InstanceType": "inf2.xlarge"}, {"InstanceType": "inf2.8xlarge"}],
        },
        "InstancesDistribution": {
            "DistributionSegments": [{"TargetCapacityTypes": ["on-demand-capacity-reservation", "on-demand"]}]
        },
    }
    name = group(
        DesiredCapacity=0, LaunchTemplate=None, MixedInstancesPolicy=whole, VPCZoneIdentifier="subnet-00000001"
    )

    def update(**change: Any) -> dict[str, Any]:
        client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, MixedInstancesPolicy=change)
        return dict(described(name)["MixedInstancesPolicy"])

    return update


def test_what_an_update_does_not_name_stays(policy: Any, template: str, make: Any) -> None:
    make()
    named = {"LaunchTemplateId": template, "Version": "2"}
    after = policy(LaunchTemplate={"LaunchTemplateSpecification": named})
    assert after["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] == "2"
    assert [one["InstanceType"] for one in after["LaunchTemplate"]["Overrides"]] == ["inf2.xlarge", "inf2.8xlarge"]
    assert after["InstancesDistribution"]["DistributionSegments"]


def test_segments_go_when_a_share_is_named(policy: Any) -> None:
    after = policy(InstancesDistribution={"OnDemandPercentageAboveBaseCapacity": 100})
    assert "DistributionSegments" not in after["InstancesDistribution"]
