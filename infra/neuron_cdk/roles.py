"""Roles that can do what they do and nothing else; a wildcard must say why AWS leaves no other way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from .nag import acknowledge_resources
from .place import arn, partition, place
from .resource import resource

if TYPE_CHECKING:
    from .network.shape import Vpc


@dataclass(frozen=True)
class Allow:
    """One statement of a policy.

    :param why: where a resource holds a wildcard, AWS's reason for it; cdk-nag's finding is acknowledged with it.
    :param when: conditions, ``{"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}``.
    """

    actions: Sequence[str]
    on: Sequence[str]
    why: str = ""
    when: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.why and self._wildcards():
            raise ValueError(
                f"{', '.join(self.actions)} on {', '.join(self._wildcards())}: a wildcard needs a reason (why)"
            )

    def statement(self) -> dict[str, Any]:
        """As IAM writes it."""
        conditions = {"Condition": dict(self.when)} if self.when else {}
        return {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.on), **conditions}

    def reasons(self) -> dict[str, str]:
        """Each wildcard with its reason."""
        return dict.fromkeys(self._wildcards(), self.why)

    def _wildcards(self) -> list[str]:
        return [arn for arn in self.on if "*" in arn]


def service_role(
    scope: Construct, construct_id: str, *, service: str, allow: Sequence[Allow], this_account_only: bool = False
) -> iam.Role:
    """A role for one AWS service, its policy inline: whoever has the role has its rights.

    :param this_account_only: let the service take the role on for resources of this account alone (confused deputy).
    """
    account = {"StringEquals": {"aws:SourceAccount": place(scope)[1]}} if this_account_only else None
    policy = {"Version": "2012-10-17", "Statement": [one.statement() for one in allow]}
    role = iam.Role(
        scope,
        construct_id,
        assumed_by=iam.ServicePrincipal(service, conditions=account),
        inline_policies={"Allowed": iam.PolicyDocument.from_json(policy)} if allow else None,
    )
    _acknowledge(role, allow)
    return role


class PlainRole:
    """A role as ``service_role`` makes it, at a third of its cost at synth; nothing but its ARN and name.

    :param statements: of policies that somebody else wrote, as IAM writes them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        allow: Sequence[Allow],
        statements: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._allowed = list(allow)
        self._statements = list(statements)
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        self._role = resource(
            iam.CfnRole,
            scope,
            construct_id,
            assume_role_policy_document={"Version": "2012-10-17", "Statement": [trust]},
            policies=self._policies(),
        )
        _acknowledge(self._role, allow)

    @property
    def arn(self) -> str:
        return self._role.attr_arn

    @property
    def name(self) -> str:
        return self._role.ref

    def allow(self, *allow: Allow) -> None:
        """Give it more: for rights that are known only when something else is defined."""
        self._allowed += allow
        self._role.policies = self._policies()  # type: ignore[assignment]  # jsii takes what its constructor takes
        _acknowledge(self._role, allow)

    def _policies(self) -> list[dict[str, Any]]:
        statements = [*(one.statement() for one in self._allowed), *self._statements]
        return [{"policyName": "Allowed", "policyDocument": {"Version": "2012-10-17", "Statement": statements}}]


def also_allow(role: iam.IRole, *allow: Allow) -> None:
    """Give a role more: for rights that are known only when something else is defined, or for a role of somebody else.

    A role imported as immutable takes nothing, and the CDK does not tell.
    """
    for one in allow:
        role.add_to_principal_policy(iam.PolicyStatement.from_json(one.statement()))
    _acknowledge(role, allow)


def _acknowledge(role: IConstruct, allow: Sequence[Allow]) -> None:
    reasons = {arn: why for one in allow for arn, why in one.reasons().items()}
    if reasons:
        acknowledge_resources(role, reasons)


def sagemaker_role(
    scope: Construct,
    construct_id: str,
    *,
    vpc: Vpc,
    security_group_id: str,
    key: kms.IKey,
    log_group: str,
    image: str | None = None,
    allow: Sequence[Allow] = (),
) -> iam.Role:
    """The role of a job or an endpoint: it logs to one group, uses one key, attaches to this VPC's private subnets
    with one security group.

    The network actions are those SageMaker's guide lists for jobs and models with a ``VpcConfig``.

    :param image: the one it pulls.
    """
    rights = [
        Allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [arn(scope, "logs", f"log-group:{log_group}*")],
            why="SageMaker names the group's streams, and an endpoint's group after the endpoint",
        ),
        Allow(
            [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            [key.key_arn],
        ),
        Allow(["kms:CreateGrant"], [key.key_arn], when={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        Allow(
            [
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            [
                arn(scope, "ec2", "network-interface/*"),
                arn(scope, "ec2", f"security-group/{security_group_id}"),
                *(arn(scope, "ec2", f"subnet/{subnet.subnet_id}") for subnet in vpc.private_subnets),
            ],
            why="SageMaker makes the interfaces, with ids nobody knows before; subnets and group are named",
        ),
        Allow(
            [
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "ecr:GetAuthorizationToken",
            ],
            ["*"],
            why="EC2's Describe actions, ECR's token and PutMetricData take no resource but *",
        ),
        Allow(
            ["cloudwatch:PutMetricData"],
            ["*"],
            why="EC2's Describe actions, ECR's token and PutMetricData take no resource but *",
            when={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "NeuronCdk/*"]}},
        ),
        *([pull_image(image)] if image else []),
        *allow,
    ]
    return service_role(scope, construct_id, service="sagemaker.amazonaws.com", allow=rights, this_account_only=True)


def pull_image(image: str) -> Allow:
    """The right to pull one repository of a private registry.

    :param image: ``<account>.dkr.ecr.<region>.<suffix>/<repository>:<tag>`` or ``…@sha256:…``
    :raises ValueError: when the image lies elsewhere: SageMaker pulls from private registries only.
    """
    parts = re.fullmatch(r"(\d{12}|\$\{Token\[[^]]+\]\})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.]+/([^:@]+)[:@].+", image)
    if not parts:
        raise ValueError(f"{image!r} is not an image in a private ECR registry, which is all SageMaker pulls from")
    account, region, repository = parts.groups()
    return Allow(
        ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        [f"arn:{partition()}:ecr:{region}:{account}:repository/{repository}"],
    )
