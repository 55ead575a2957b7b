"""A bucket for what an endpoint takes and gives."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ..model import ArtifactStore
from ..place import key_arn
from ..resource import resource


class EndpointBucket(Construct):
    """Private, under the store's key, TLS only, logged, and emptied after ``retention_days``.

    Kept when the stack goes: what users asked and were answered is theirs to delete.
    """

    def __init__(self, scope: Construct, construct_id: str, *, store: ArtifactStore, retention_days: int) -> None:
        super().__init__(scope, construct_id)
        bucket = resource(
            s3.CfnBucket,
            self,
            "Resource",
            bucket_encryption={
                "serverSideEncryptionConfiguration": [
                    {
                        "bucketKeyEnabled": True,
                        "serverSideEncryptionByDefault": {
                            "sseAlgorithm": "aws:kms",
                            "kmsMasterKeyId": key_arn(store.key),
                        },
                    }
                ]
            },
            lifecycle_configuration={
                "rules": [
                    {
                        "status": "Enabled",
                        "expirationInDays": retention_days,
                        "noncurrentVersionExpiration": {"noncurrentDays": 1},
                        "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                    }
                ]
            },
            logging_configuration={
                "destinationBucketName": store.access_log.bucket_name,
                "logFilePrefix": store.keep_access_logs(),
            },
            versioning_configuration={"status": "Enabled"},  # a day to take back what was overwritten
            ownership_controls={"rules": [{"objectOwnership": "BucketOwnerEnforced"}]},
            public_access_block_configuration={
                "blockPublicAcls": True,
                "blockPublicPolicy": True,
                "ignorePublicAcls": True,
                "restrictPublicBuckets": True,
            },
        )
        bucket.apply_removal_policy(RemovalPolicy.RETAIN)
        self.name, self.arn = bucket.ref, bucket.attr_arn
        everything = [self.arn, f"{self.arn}/*"]
        resource(
            s3.CfnBucketPolicy,
            self,
            "Policy",
            bucket=self.name,
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": {"AWS": "*"},
                        "Action": "s3:*",
                        "Resource": everything,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        )

    def objects(self, prefix: str) -> str:
        """The ARN of everything under a prefix."""
        return f"{self.arn}/{prefix}/*"

    def uri(self, prefix: str) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.name}/{prefix}"
