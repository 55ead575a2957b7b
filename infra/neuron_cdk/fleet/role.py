"""What an instance of a fleet may do."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from ..model import ArtifactStore, CompiledModel
from ..place import arn
from ..roles import Allow, also_allow, pull_image, service_role
from . import neuron_metrics
from .escape import Additions, Existing

FLEET_TAG = "neuron-cdk:fleet"
"""On every group of a fleet: what its instances and its controller are let near by."""

GROUPS_BY_TAG = "a group's ARN holds an id nobody knows before; the condition names the tag of the fleet's own groups"
"""Why a right on groups is on all of them: the reason, with the condition that goes with it."""


def instance_role(
    scope: Construct,
    construct_id: str,
    *,
    fleet: str,
    store: ArtifactStore,
    model: CompiledModel | None,
    image: str | None,
    existing: Existing,
    additions: Additions,
) -> iam.IRole:
    """A role for the instances of ``fleet``, or the existing one with our rights on top."""
    allow = _rights(scope, fleet, store, model, image)
    if existing.role is None:
        role: iam.IRole = service_role(scope, construct_id, service="ec2.amazonaws.com", allow=allow)
    else:
        role = existing.role
        also_allow(role, *allow)
    for statement in additions.policies:
        role.add_to_principal_policy(statement)
    return role


def _rights(
    scope: Construct, fleet: str, store: ArtifactStore, model: CompiledModel | None, image: str | None
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
        *(store.read_artifact(model.artifact_key) if model else ()),
        *([pull_image(image)] if image and ".dkr.ecr." in image else ()),
    ]
