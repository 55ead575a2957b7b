"""A fleet of the release pipeline: which version its groups launch from, what a release may do, what it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import CfnResource, IStableAnyProducer, Lazy
from constructs import Construct

from ..hook_function import HookFunction
from ..model import ArtifactStore
from ..place import arn, table
from ..roles import Allow
from .group import PoolGroup
from .role import FLEET_TAG, GROUPS_BY_TAG

Version = dict[str, str]
"""A group's ``LaunchTemplateSpecification``: ``launchTemplateId``, ``version``."""


class ReleasedVersions(Construct):
    """Has CloudFormation ask which launch template version was released, before it touches a group and after.

    CloudFormation gives a group its version whenever it changes anything about it, out of what it remembers: after a
    release without a deploy that would be an old one. Its own latest version is no answer either: what a deploy brings
    is released by the release that comes after the groups, and only then theirs. So the groups' version is an attribute
    of this resource, and whatever CloudFormation tells a group stands in its properties (:meth:`tell`): a change asks
    anew. A second one, after the groups, sees to it that they got it. First deploy: nothing is released yet, and
    CloudFormation's own version, with the artifact that was just compiled, is the answer. What is changed by
    ``add_property_override`` on a group is not seen here.

    :param target: ``fleet/serve``.
    :param templates: CloudFormation's own latest versions.
    :param allow: what giving a group a version takes (:func:`version_rights`).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        target: str,
        store: ArtifactStore,
        templates: Sequence[Version],
        allow: Sequence[Allow],
    ) -> None:
        super().__init__(scope, construct_id)
        registry, registry_arn = table(store.registry)
        self._hook = HookFunction(
            self,
            "Hook",
            entry="release.fleet_version",
            key=store.key,
            environment={"REGISTRY_TABLE": registry, "TARGET": target},
            allow=[
                Allow(
                    ["dynamodb:GetItem"],
                    [registry_arn],
                    when={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"release#{target}"]}},
                ),
                store.use_key(),
                *allow,
            ],
        )
        self._templates = list(templates)
        self._asked = self._asking("Resource")

    def of(self, template: Version) -> Version:
        """The version of a template that was released."""
        number = self._templates.index(template) + 1
        return {**template, "version": self._asked.get_att(f"Version{number}").to_string()}

    def tell(self, groups: Sequence[PoolGroup]) -> CfnResource:
        """Be asked anew whenever one of these changes; what comes after them."""
        told = [_told(group) for group in groups]
        self._asked.add_property_override("Groups", told)
        keep = [{"Name": group.name, "Template": group.template} for group in groups]
        return self._asking("Kept", Keep=keep, Groups=told)

    def _asking(self, construct_id: str, **more: Any) -> CfnResource:
        templates = [{"Id": each["launchTemplateId"], "Version": each["version"]} for each in self._templates]
        return CfnResource(
            self,
            construct_id,
            type="Custom::NeuronFleetVersion",
            properties={
                "ServiceToken": self._hook.function_arn,
                "ServiceTimeout": "300",
                "Templates": templates,
                **more,
            },
        )


@jsii.implements(IStableAnyProducer)
class _Tags:
    """A group's tags as they are when everything has been tagged."""

    def __init__(self, group: PoolGroup) -> None:
        self._group = group

    def produce(self) -> Any:
        return self._group.resource.tags.render_tags()


def _told(group: PoolGroup) -> dict[str, Any]:
    return {**group.told, "tags": Lazy.any(_Tags(group))}


def declaration(
    groups: Sequence[PoolGroup], templates: Mapping[str, Version], refresh: Mapping[str, Any], sdk: str
) -> str:
    """What a release is told of the fleet (``neuron_hooks.release.fleet_blueprint``).

    :param templates: by pool, CloudFormation's own latest version.
    """
    document = {
        "groups": [
            {
                "pool": group.pool.name,
                "name": group.name,
                "template": templates[group.pool.name]["launchTemplateId"],
                "version": templates[group.pool.name]["version"],
            }
            for group in groups
        ],
        "refresh": refresh,
        "sdk": sdk,
    }
    return json.dumps(document, sort_keys=True)  # names and ids, the only tokens in it, need no escape


def version_rights(scope: Construct, fleet: str, templates: Sequence[Version], role_arn: str) -> list[Allow]:
    """What giving the fleet's groups a version of their launch templates takes.

    Whoever does has to have the right to run instances from it, and to pass their role (EC2 Auto Scaling User Guide,
    "Control Amazon EC2 launch template usage in Auto Scaling groups").
    """
    return [
        Allow(
            ["autoscaling:UpdateAutoScalingGroup"],
            [arn(scope, "autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
            why=GROUPS_BY_TAG,
            when=_of_the_fleet(fleet),
        ),
        Allow(
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeInstanceRefreshes",
                "autoscaling:DescribeScalingActivities",
            ],
            ["*"],
            why="Describe actions take no resource but *",
        ),
        Allow(
            ["ec2:RunInstances"],
            ["*"],
            why="subnets, images and volumes have whatever ids they have; the template is this fleet's",
            when={"ArnEquals": {"ec2:LaunchTemplate": _arns(scope, templates)}},
        ),
        Allow(
            ["ec2:CreateTags"],
            [arn(scope, "ec2", f"{kind}/*") for kind in ("instance", "network-interface", "volume")],
            why="what is tagged is made by RunInstances, with ids nobody knows before",
            when={"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        ),
        Allow(
            ["iam:PassRole"],
            [role_arn],
            when={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
    ]


def release_rights(scope: Construct, fleet: str, templates: Sequence[Version], role_arn: str) -> list[Allow]:
    """What a release does to the fleet's groups and launch templates."""
    return [
        *version_rights(scope, fleet, templates, role_arn),
        Allow(
            ["autoscaling:CancelInstanceRefresh", "autoscaling:StartInstanceRefresh"],
            [arn(scope, "autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
            why=GROUPS_BY_TAG,
            when=_of_the_fleet(fleet),
        ),
        Allow(
            ["ec2:DescribeLaunchTemplateVersions"],
            ["*"],
            why="Describe actions take no resource but *",
        ),
        Allow(["ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplateVersions"], _arns(scope, templates)),
    ]


def _of_the_fleet(fleet: str) -> dict[str, Any]:
    return {"StringEquals": {f"autoscaling:ResourceTag/{FLEET_TAG}": fleet}}


def _arns(scope: Construct, templates: Sequence[Version]) -> list[str]:
    return [arn(scope, "ec2", f"launch-template/{each['launchTemplateId']}") for each in templates]
