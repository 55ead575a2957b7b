"""The one way this project makes a Lambda function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

from aws_cdk import AssetStaging, FileAssetPackaging, IgnoreMode, RemovalPolicy, Stack, Stage, SymlinkFollowMode
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

from .assets import lambda_root, only
from .place import key_arn
from .resource import resource
from .roles import Allow, PlainRole

_staged: WeakKeyDictionary[IConstruct, tuple[str, str]] = WeakKeyDictionary()
_locations: WeakKeyDictionary[Stack, dict[str, str]] = WeakKeyDictionary()


def _hook_code(scope: Construct) -> dict[str, str]:
    """Where the stack of ``scope`` finds the asset that holds every hook, as ``AWS::Lambda::Function`` has it.

    Copied and hashed once for an app (or stage), then named in the assets of each stack that uses it.
    """
    stack = Stack.of(scope)
    if stack in _locations:
        return _locations[stack]
    stage = Stage.of(stack) or stack
    if stage not in _staged:
        staging = AssetStaging(
            scope,
            "Code",
            source_path=str(lambda_root()),
            exclude=only("neuron_hooks"),
            ignore_mode=IgnoreMode.GIT,
            follow=SymlinkFollowMode.ALWAYS,  # scaling_rules.py stands beside what AWS's own scaling is told by
        )
        _staged[stage] = staging.relative_staged_path(stack), staging.asset_hash
    path, content = _staged[stage]
    where = stack.synthesizer.add_file_asset(
        file_name=path, packaging=FileAssetPackaging.ZIP_DIRECTORY, source_hash=content
    )
    _locations[stack] = {"s3Bucket": where.bucket_name, "s3Key": where.object_key}
    return _locations[stack]


class HookFunction(Construct):
    """An entry point of ``neuron_hooks`` with a role and a log group of its own.

    Every hook ships in one asset (under 300 KB), so shared code is never copied; a role a function, so that each can
    do what it does and nothing else. No managed policy: the only right a hook starts with is to write its own log.

    :param entry: the module in ``neuron_hooks``, with its package: ``fleet.controller``; its ``handler`` is called.
    :param allow: what the hook may do beside logging.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        entry: str,
        key: kms.IKey,
        environment: Mapping[str, str],
        allow: Sequence[Allow] = (),
        timeout_seconds: int = 60,
    ) -> None:
        super().__init__(scope, construct_id)
        # Plain resources, in the places the CDK's own constructs would put them: a fleet has a hook of its own, and the
        # CDK's constructs take several times as long at synth.
        log_group = resource(logs.CfnLogGroup, self, "Log", kms_key_id=key_arn(key), retention_in_days=90)
        log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        self.role = PlainRole(
            self,
            "Role",
            service="lambda.amazonaws.com",
            allow=[
                Allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [log_group.attr_arn],  # ends in ":*", the streams of this group
                ),
                *allow,
            ],
        )
        place = Construct(self, "Function")
        function = resource(
            lambda_.CfnFunction,
            place,
            "Resource",
            runtime="python3.14",
            architectures=["arm64"],
            handler=f"neuron_hooks.{entry}.handler",
            code=_hook_code(place),
            role=self.role.arn,
            logging_config={"logGroup": log_group.ref},
            environment={"variables": dict(environment)} if environment else None,
            kms_key_arn=key_arn(key),
            memory_size=256,
            timeout=timeout_seconds,
        )
        self.function_name = function.ref
        self.function_arn = function.attr_arn

    def answer_rule(self, construct_id: str, rule_arn: str) -> None:
        """Let one EventBridge rule call the function."""
        resource(
            lambda_.CfnPermission,
            self,
            construct_id,
            action="lambda:InvokeFunction",
            function_name=self.function_arn,
            principal="events.amazonaws.com",
            source_arn=rule_arn,
        )
