"""The one way this project makes a Lambda function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, IgnoreMode, RemovalPolicy, SymlinkFollowMode
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from .assets import lambda_root, only
from .roles import Allow, service_role


def hook_code() -> lambda_.Code:
    """The asset that holds every hook."""
    return lambda_.Code.from_asset(
        str(lambda_root()),
        exclude=only("neuron_hooks"),
        ignore_mode=IgnoreMode.GIT,
        follow_symlinks=SymlinkFollowMode.ALWAYS,  # scaling_rules.py stands beside what AWS's own scaling is told by
    )


class HookFunction(Construct):
    """An entry point of ``neuron_hooks`` with a role and a log group of its own.

    Every hook ships in one asset (under 150 KB), so shared code is never copied; a role a function, so that each can
    do what it does and nothing else. No managed policy: the only right a hook starts with is to write its own log.

    :param code: ``hook_code()``, one for all hooks of a stack.
    :param entry: the module in ``neuron_hooks``; its ``handler`` is called.
    :param allow: what the hook may do beside logging.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        entry: str,
        code: lambda_.Code,
        key: kms.IKey,
        environment: Mapping[str, str],
        allow: Sequence[Allow] = (),
        timeout: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self,
            "Log",
            encryption_key=key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = service_role(
            self,
            "Role",
            service="lambda.amazonaws.com",
            allow=[
                Allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [self.log_group.log_group_arn],  # ends in ":*", the streams of this group
                ),
                *allow,
            ],
        )
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"neuron_hooks.{entry}.handler",
            code=code,
            role=self.role,
            log_group=self.log_group,
            environment=dict(environment),
            environment_encryption=key,
            memory_size=256,
            timeout=timeout or Duration.minutes(1),
        )
