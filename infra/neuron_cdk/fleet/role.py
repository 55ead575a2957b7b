"""What an instance of a fleet may do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from aws_cdk import aws_iam as iam
from constructs import Construct

from ..model import ArtifactStore
from ..place import arn
from ..roles import Allow, PlainRole, also_allow, pull_image
from . import neuron_metrics
from .escape import Additions, Existing

FLEET_TAG = "neuron-cdk:fleet"
"""On every group of a fleet: what its instances and its controller are let near by."""

GROUPS_BY_TAG = "a group's ARN holds an id nobody knows before; the condition names the tag of the fleet's own groups"
"""Why a right on groups is on all of them: the reason, with the condition that goes with it."""


class InstanceRole:
    """A role for the instances of ``fleet``, or the existing one with our rights on top.

    :param artifact: the key of what the instances serve; ``*`` where a release decides which it is.
    :param image: what the instances run, pulled from its registry.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        fleet: str,
        store: ArtifactStore,
        artifact: str | None,
        image: str | None,
        existing: Existing,
        additions: Additions,
    ) -> None:
        allow = _rights(scope, fleet, store, artifact, image)
        self._scope = scope
        self._existing = existing.role
        if existing.role is None:
            statements = [statement.to_statement_json() for statement in additions.policies]
            made = PlainRole(scope, construct_id, service="ec2.amazonaws.com", allow=allow, statements=statements)
            self.name, self.arn = made.name, made.arn
            return
        self.name, self.arn = existing.role.role_name, existing.role.role_arn
        also_allow(existing.role, *allow)
        for statement in additions.policies:
            existing.role.add_to_principal_policy(statement)

    @cached_property
    def grantee(self) -> iam.IRole:
        """The role as the CDK's ``grant_*`` methods take it; made when it is asked for, which most fleets never are."""
        return self._existing or iam.Role.from_role_name(self._scope, "Grantee", self.name)


def _rights(
    scope: Construct, fleet: str, store: ArtifactStore, artifact: str | None, image: str | None
) -> Sequence[Allow]:
    return [
        Allow(
            ["ssm:UpdateInstanceInformation"],
            [arn(scope, "ec2", "instance/*")],
            why="the group's instances, with ids nobody knows before",
        ),
        Allow(
            [
                "autoscaling:DescribeAutoScalingInstances",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
                *(["ecr:GetAuthorizationToken"] if image and ".dkr.ecr." in image else []),
            ],
            ["*"],
            why="Session Manager's and Describe actions, ECR's token and PutMetricData take no resource but *",
        ),
        Allow(
            ["cloudwatch:PutMetricData"],
            ["*"],
            why="Session Manager's and Describe actions, ECR's token and PutMetricData take no resource but *",
            when={"StringEquals": {"cloudwatch:namespace": neuron_metrics.NAMESPACE}},
        ),
        Allow(
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            [arn(scope, "autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
            why=GROUPS_BY_TAG,
            when={"StringEquals": {f"autoscaling:ResourceTag/{FLEET_TAG}": fleet}},
        ),
        *(store.read_artifact(artifact) if artifact else ()),
        *([pull_image(image)] if image and ".dkr.ecr." in image else ()),
    ]
