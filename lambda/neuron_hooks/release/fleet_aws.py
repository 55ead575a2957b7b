"""The calls of a fleet's releases, on the shared clients. Thin: what is asked and read is in ``fleet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .. import aws
from ..fleet import seen
from ..fleet.aws import instance_refresh
from ..fleet.instance_refresh import InstanceRefresh
from ..fleet.seen import Launch
from .template_version import Version

_REFRESHES = 20
_LAUNCHES = 50
_MOST_DELETED = 200  # of a DeleteLaunchTemplateVersions
# Lifecycle states of instances that stay, or come (EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling instance
# lifecycle").
_COMING = ("Pending", "Pending:Wait", "Pending:Proceed")
_STAYING = ("InService", "EnteringStandby", "Standby")


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of a group that stays or comes; ``version`` is that of the launch template it was launched from."""

    id: str
    template: str
    version: str
    in_service: bool
    healthy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group. ``version``: what it launches from now; ``refreshes``, ``launches``: newest first."""

    name: str
    template: str
    version: str
    policy: Mapping[str, Any] | None
    desired: int
    members: tuple[Member, ...]
    refreshes: tuple[InstanceRefresh, ...]
    launches: tuple[Launch, ...]

    @property
    def refreshing(self) -> InstanceRefresh | None:
        """The instance refresh under way."""
        newest = next(iter(self.refreshes), None)
        return newest if newest is not None and newest.is_under_way else None


def groups(names: Sequence[str]) -> dict[str, Group]:
    """Auto Scaling groups by name, without those that do not exist."""
    client = aws.client("autoscaling")
    found = client.describe_auto_scaling_groups(AutoScalingGroupNames=list(names), MaxRecords=100)
    return {one["AutoScalingGroupName"]: _group(client, one) for one in found["AutoScalingGroups"]}


def _group(client: Any, described: Mapping[str, Any]) -> Group:
    name, policy = described["AutoScalingGroupName"], described.get("MixedInstancesPolicy")
    named = policy["LaunchTemplate"]["LaunchTemplateSpecification"] if policy else described["LaunchTemplate"]
    refreshes = client.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=_REFRESHES)
    activities = client.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=_LAUNCHES)["Activities"]
    return Group(
        name=name,
        template=named["LaunchTemplateId"],
        version=named["Version"],
        policy=policy,
        desired=described["DesiredCapacity"],
        members=tuple(
            Member(
                id=one["InstanceId"],
                template=one.get("LaunchTemplate", {}).get("LaunchTemplateId", ""),
                version=one.get("LaunchTemplate", {}).get("Version", ""),
                in_service=one["LifecycleState"] == "InService",
                healthy=one["HealthStatus"] == "Healthy",
            )
            for one in described.get("Instances", ())
            if one["LifecycleState"] in _COMING + _STAYING
        ),
        refreshes=tuple(instance_refresh(one) for one in refreshes["InstanceRefreshes"]),
        launches=seen.group(described, activities).launches,
    )


def set_version(group: Group, version: int) -> None:
    """Have a group launch from another version of its template; instances that run stay.

    Of a mixed policy only the template and its overrides are named: what is not named stays as it is, and a
    distribution that is named without its segments loses them (EC2 Auto Scaling API Reference, UpdateAutoScalingGroup).
    The runtime's botocore may not know segments.
    """
    named = {"LaunchTemplateId": group.template, "Version": str(version)}
    if group.policy is None:
        wanted: dict[str, Any] = {"LaunchTemplate": named}
    else:
        overrides = group.policy["LaunchTemplate"].get("Overrides", [])
        template = {"LaunchTemplateSpecification": named, **({"Overrides": overrides} if overrides else {})}
        wanted = {"MixedInstancesPolicy": {"LaunchTemplate": template}}
    aws.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group.name, **wanted)


# -- Launch templates ------------------------------------------------------------------------------------------------


def versions(template: str) -> list[Version]:
    """All versions of a launch template."""
    pages = aws.client("ec2").get_paginator("describe_launch_template_versions").paginate(LaunchTemplateId=template)
    return [
        Version(one["VersionNumber"], one.get("VersionDescription", ""), one["LaunchTemplateData"])
        for page in pages
        for one in page["LaunchTemplateVersions"]
    ]


def create_version(template: str, source: int, user_data: str, description: str, token: str) -> int:
    """A version like ``source`` with other user data; the same token again gives the same version."""
    made = aws.client("ec2").create_launch_template_version(
        LaunchTemplateId=template,
        SourceVersion=str(source),
        LaunchTemplateData={"UserData": user_data},
        VersionDescription=description,
        ClientToken=token,
    )
    return int(made["LaunchTemplateVersion"]["VersionNumber"])


def delete_versions(template: str, numbers: Sequence[int]) -> None:
    """Delete versions, which may be gone already, as their template may."""
    for start in range(0, len(numbers), _MOST_DELETED):
        some = [str(number) for number in numbers[start : start + _MOST_DELETED]]
        try:
            aws.client("ec2").delete_launch_template_versions(LaunchTemplateId=template, Versions=some)
        except ClientError as error:
            if not is_gone(error):
                raise


def is_gone(error: ClientError) -> bool:
    """Whether EC2 says that there is no such launch template."""
    return str(error.response["Error"]["Code"]).startswith("InvalidLaunchTemplate")
