"""What every pipeline of the model path is made of: hooks, state machines, rules for executions that die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..hook_function import HookFunction
from ..place import arn
from ..roles import Allow, service_role
from .store import ArtifactStore


def model_hook(
    scope: Construct,
    construct_id: str,
    *,
    store: ArtifactStore,
    entry: str,
    environment: Mapping[str, str],
    allow: tuple[Allow, ...] = (),
    timeout_seconds: int = 60,
) -> HookFunction:
    """A hook that works on what the store holds, and so uses its key."""
    return HookFunction(
        scope,
        construct_id,
        entry=entry,
        key=store.key,
        environment=environment,
        allow=[*allow, store.use_key()],
        timeout_seconds=timeout_seconds,
    )


class StateMachine(Construct):
    """A standard state machine with a role and a log group of its own. It logs without its data, and traces.

    :param definition: Amazon States Language, as data.
    :param allow: what its tasks need.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: ArtifactStore,
        definition: dict[str, Any],
        allow: tuple[Allow, ...] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self,
            "Log",
            encryption_key=store.key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = service_role(
            self,
            "Role",
            service="states.amazonaws.com",
            this_account_only=True,
            allow=[
                *allow,
                Allow(
                    [
                        "logs:CreateLogDelivery",
                        "logs:DeleteLogDelivery",
                        "logs:DescribeLogGroups",
                        "logs:DescribeResourcePolicies",
                        "logs:GetLogDelivery",
                        "logs:ListLogDeliveries",
                        "logs:PutResourcePolicy",
                        "logs:UpdateLogDelivery",
                        "xray:GetSamplingRules",
                        "xray:GetSamplingTargets",
                        "xray:PutTelemetryRecords",
                        "xray:PutTraceSegments",
                    ],
                    ["*"],
                    why="log delivery and X-Ray take no resource but * (Step Functions guide)",
                ),
            ],
        )
        self.resource = sfn.CfnStateMachine(
            self,
            "Resource",
            role_arn=self.role.role_arn,
            definition_string=Stack.of(self).to_json_string(definition),
            logging_configuration={
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": log_group.log_group_arn}}],
                "includeExecutionData": False,  # a request holds a presigned address
                "level": "ALL",
            },
            tracing_configuration={"enabled": True},
        )
        self.arn = self.resource.attr_arn

    def may_be_run(self) -> list[Allow]:
        """What another machine needs to run this one and wait for it (``startExecution.sync``).

        Source: Step Functions guide, "IAM policies for nested workflows": the rule is how it learns of the end.
        """
        return [
            Allow(["states:StartExecution"], [self.arn]),
            Allow(
                ["states:DescribeExecution", "states:StopExecution"],
                [arn(self, "states", f"execution:{self.resource.attr_name}:*")],
                why="executions get their names when they are started",
            ),
            Allow(
                ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
                [arn(self, "events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")],
            ),
        ]

    def when_it_dies(self, scope: Construct, construct_id: str, hook: HookFunction) -> None:
        """Call a hook when an execution fails, is aborted or times out: the last two never reach their last state.

        :param scope: where the rule goes.
        """
        rule = events.CfnRule(
            scope,
            construct_id,
            event_pattern={
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {"stateMachineArn": [self.arn], "status": ["FAILED", "ABORTED", "TIMED_OUT"]},
            },
            targets=[{"id": "Hook", "arn": hook.function_arn}],
        )
        hook.answer_rule(construct_id, rule.attr_arn)


def invoke(*hooks: HookFunction) -> Allow:
    """The right to call these hooks."""
    return Allow(["lambda:InvokeFunction"], [hook.function_arn for hook in hooks])
