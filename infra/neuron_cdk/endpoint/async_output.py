"""Where an asynchronous endpoint finds requests and leaves answers, and who is told."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from .. import spec
from ..model import ArtifactStore
from ..place import key_arn
from ..resource import resource
from ..roles import Allow
from .bucket import EndpointBucket

INPUT, OUTPUT, FAILURES, SMOKE = "input", "output", "failures", "smoke"
_ANY_NAME = "requests and answers have whatever names callers and SageMaker give them"


class AsyncOutput(Construct):
    """A bucket for requests (``input/``), answers (``output/``) and errors (``failures/``), and a topic for either
    outcome, under the store's key.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, store: ArtifactStore, settings: spec.AsyncInference
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings, self._key_arn = settings, key_arn(store.key)
        self.bucket = EndpointBucket(self, "Bucket", store=store, retention_days=settings.retention_days)
        self.success_topic_arn = self._topic("Success")
        self.error_topic_arn = self._topic("Error")
        self.input_uri = self.bucket.uri(INPUT)
        self.smoke_uri = f"{self.bucket.uri(SMOKE)}/"

    def configuration(self) -> dict[str, Any]:
        """The ``AsyncInferenceConfig`` of an endpoint configuration."""
        notices: dict[str, Any] = {"successTopic": self.success_topic_arn, "errorTopic": self.error_topic_arn}
        if self._settings.responses_in_topic:
            notices["includeInferenceResponseIn"] = ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]
        made: dict[str, Any] = {
            "outputConfig": {
                "s3OutputPath": self.bucket.uri(OUTPUT),
                "s3FailurePath": self.bucket.uri(FAILURES),
                "kmsKeyId": self._key_arn,
                "notificationConfig": notices,
            }
        }
        if self._settings.max_concurrent_per_instance:
            most = self._settings.max_concurrent_per_instance
            made["clientConfig"] = {"maxConcurrentInvocationsPerInstance": most}
        return made

    def rights_of_the_endpoint(self) -> list[Allow]:
        """Read requests, write outcomes, tell of them (SageMaker guide, *Asynchronous inference: prerequisites*)."""
        bucket = self.bucket
        return [
            Allow(["s3:GetObject"], [bucket.objects(INPUT), bucket.objects(SMOKE)], why=_ANY_NAME),
            Allow(
                ["s3:AbortMultipartUpload", "s3:PutObject"],
                [bucket.objects(OUTPUT), bucket.objects(FAILURES)],
                why=_ANY_NAME,
            ),
            Allow(["s3:ListBucket"], [bucket.arn]),
            Allow(["sns:Publish"], [self.success_topic_arn, self.error_topic_arn]),
        ]

    def rights_of_the_hook(self) -> list[Allow]:
        """Ask and read the answer, for smoke tests."""
        bucket = self.bucket
        return [
            Allow(["s3:DeleteObject", "s3:PutObject"], [bucket.objects(SMOKE)], why=_ANY_NAME),
            Allow(["s3:GetObject"], [bucket.objects(OUTPUT), bucket.objects(FAILURES)], why=_ANY_NAME),
            # Without it S3 says 403, not 404, of an answer that is not there yet.
            Allow(["s3:ListBucket"], [bucket.arn]),
        ]

    def grant_use(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a caller put requests there and read what came of them."""
        bucket = self.bucket
        grant = iam.Grant.add_to_principal(
            grantee=grantee, actions=["s3:PutObject"], resource_arns=[bucket.objects(INPUT)]
        )
        answers = [bucket.objects(OUTPUT), bucket.objects(FAILURES)]
        for actions, on in (
            (["s3:GetObject"], answers),
            (["kms:Decrypt", "kms:GenerateDataKey"], [self._key_arn]),
        ):
            more = iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=on)
            grant = grant.combine(more)
        return grant

    def _topic(self, construct_id: str) -> str:
        topic = resource(sns.CfnTopic, self, construct_id, kms_master_key_id=self._key_arn)
        resource(
            sns.CfnTopicPolicy,
            self,
            f"{construct_id}Policy",
            topics=[topic.ref],
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "sns:Publish",
                        "Resource": topic.ref,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        )
        return topic.ref
