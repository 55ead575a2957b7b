"""Watched sources: what is uploaded under a model's S3 prefix is compiled without a deploy."""

from __future__ import annotations

import json

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from ..hook_function import HookFunction
from ..place import partition
from ..resource import resource
from ..roles import Allow
from .machinery import model_hook
from .store import ArtifactStore

READY = "_READY"
"""The object that says that an upload is whole, as ``neuron_hooks.compile.watching`` has it."""
QUIET_SECONDS = 90


class SourceWatch(Construct):
    """One hook, and a rule for each watched prefix: it starts the request machine when S3 says "Object Created".

    S3 says so to EventBridge only where the bucket's owner has turned that on (``neuron-cdk doctor`` looks). The
    bucket is nobody's here, so it is not turned on from here: a bucket has one notification configuration, and writing
    it would take away what others wrote.

    :param request_machine_arn: what is started.
    :param poll: how often what it starts looks at the registry.
    :param quiet_seconds: how long nothing may have come in before an upload without ``_READY`` is taken for whole.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: ArtifactStore,
        request_machine_arn: str,
        poll: Duration,
        quiet_seconds: int = QUIET_SECONDS,
    ) -> None:
        super().__init__(scope, construct_id)
        self._watched: dict[str, tuple[str, str]] = {}
        self._hook: HookFunction = model_hook(
            self,
            "Hook",
            store=store,
            entry="compile.source_changed",
            environment={
                "REGISTRY_TABLE": store.registry.table_name,
                "REQUEST_MACHINE_ARN": request_machine_arn,
                "QUIET_SECONDS": str(quiet_seconds),
                "POLL_SECONDS": str(poll.to_seconds()),
            },
            allow=(
                store.items("dynamodb:GetItem"),
                Allow(["states:StartExecution"], [request_machine_arn]),
            ),
        )

    def add(self, name: str, bucket: str, prefix: str) -> None:
        """Watch the source of a model; of one that several endpoints serve, once.

        :param prefix: ends in ``/``.
        """
        if not prefix.endswith("/"):
            raise ValueError(f"model {name!r}: what is watched is a folder; {prefix!r} must end in /")
        if name in self._watched:
            if self._watched[name] != (bucket, prefix):
                raise ValueError(f"model {name!r} is watched at two places")
            return
        self._watched[name] = (bucket, prefix)
        rule = resource(
            events.CfnRule,
            Construct(self, name),
            "Rule",
            description=f"Uploads of model {name}",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": prefix}]}},
            },
            targets=[
                {
                    "id": "Hook",
                    "arn": self._hook.function_arn,
                    # The whole event, not paths of it: what is cut out goes into the template as it stands, and an
                    # object's key may hold quotes.
                    "inputTransformer": {
                        "inputTemplate": f'{{"model": {json.dumps(name)}, "event": <aws.events.event.json>}}'
                    },
                }
            ],
        )
        self._hook.answer_rule(f"Answer-{name}", rule.attr_arn)
        ready = {"StringEquals": {"s3:prefix": prefix + READY}}
        self._hook.role.allow(Allow(["s3:ListBucket"], [f"arn:{partition()}:s3:::{bucket}"], when=ready))
