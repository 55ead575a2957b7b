"""Where a fleet's groups tell what they do."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from ..place import key_arn


class EventTopic(Construct):
    """Launches, terminations and failures of a fleet, under its key, to and from TLS only. Subscribe to ``arn``."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        topic = sns.CfnTopic(self, "Resource", kms_master_key_id=key_arn(key))
        self.arn = topic.ref
        sns.CfnTopicPolicy(
            self,
            "Policy",
            topics=[self.arn],
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "sns:Publish",
                        "Resource": self.arn,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        )
