"""What keeps the artifact store from growing for ever, and looks after leases."""

from __future__ import annotations

import json

from aws_cdk import aws_events as events
from constructs import Construct

from ..place import arn
from ..resource import resource
from ..roles import Allow
from .machinery import model_hook
from .store import ArtifactStore

KEEP_DAYS = 30
_GRACE_SECONDS = 3600
# Lambda's longest: a listing of a large bucket takes a minute for every hundred thousand objects or so.
_TIMEOUT_SECONDS = 900


class Housekeeping(Construct):
    """A hook with two schedules: every quarter of an hour it looks for stuck leases and for endpoints that compile,
    once a day it judges artifacts and uploads (``neuron_hooks.housekeeping.hook`` has the rules).

    It may delete objects, but none of their versions: the bucket's lifecycle rule does that 30 days later, and until
    then a deletion can be undone.

    :param keep_days: how long an artifact that nobody uses is kept after it was used last.
    """

    function_name: str
    """To be invoked with ``{"dry_run": true}`` or ``false``."""

    def __init__(
        self, scope: Construct, construct_id: str, *, store: ArtifactStore, keep_days: int = KEEP_DAYS
    ) -> None:
        super().__init__(scope, construct_id)
        if keep_days < 1:
            raise ValueError(
                f"keep_days is {keep_days}; it must be 1 or more: what is used today is not to go tomorrow"
            )
        hook = model_hook(
            self,
            "Hook",
            store=store,
            entry="housekeeping.hook",
            environment={
                "REGISTRY_TABLE": store.registry.table_name,
                "ARTIFACT_BUCKET": store.bucket.bucket_name,
                "KEEP_DAYS": str(keep_days),
                "GRACE_SECONDS": str(_GRACE_SECONDS),
            },
            allow=(
                store.items("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem"),
                store.listing("artifacts/*", "requests/*"),
                store.objects("artifacts/*", "s3:DeleteObject", why="artifacts of every key"),
                store.objects("requests/*", "s3:DeleteObject", why="requests for every key"),
                Allow(
                    ["logs:FilterLogEvents"],
                    [arn(self, "logs", "log-group:/aws/sagemaker/Endpoints/*")],
                    why="SageMaker names an endpoint's log group after it; endpoints come after the pipeline",
                ),
            ),
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        self.function_name = hook.function_name
        for name, when, task in (("Watch", "rate(15 minutes)", "watch"), ("Collect", "rate(1 day)", "collect")):
            rule = resource(
                events.CfnRule,
                self,
                name,
                schedule_expression=when,
                targets=[{"id": "Hook", "arn": hook.function_arn, "input": json.dumps({"task": task})}],
            )
            hook.answer_rule(name, rule.attr_arn)
