"""What outlives every deployment: the key, the compiled artifacts, the registry that says which of them are whole."""

from __future__ import annotations

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ..place import key_arn
from ..roles import Allow


class ArtifactStore(Construct):
    """One key, one bucket, one table; all retained when the stack goes.

    Objects lie under ``artifacts/<artifact key>/<attempt>/``. An artifact exists when the registry says so, not when
    its objects do: a job writes to a prefix nobody reads, and one write to the registry publishes it.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self._keeps_load_balancer_logs = False
        self._keeps_access_logs = False
        # The log bucket has no ACLs, which needs this flag; an app that uses the construct may not have set it.
        self.node.set_context("@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", True)
        self.key = kms.Key(
            self,
            "Key",
            description="Models, artifacts, volumes and logs",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._let_logs_and_instances_use_the_key()
        self.access_log = s3.Bucket(
            self,
            "AccessLog",
            # S3 delivers access logs to buckets with its own keys only.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(expiration=Duration.days(90), noncurrent_version_expiration=Duration.days(1))
            ],
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            server_access_logs_bucket=self.access_log,
            server_access_logs_prefix="artifacts/",
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                # What housekeeping deletes can be had back for 30 days; the registry can be taken back 35. After that
                # the mark of the deletion alone is left, and goes too: listings would read past it for ever.
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    noncurrent_version_expiration=Duration.days(30),
                    expired_object_delete_marker=True,
                )
            ],
        )
        self.registry = dynamodb.TableV2(
            self,
            "Registry",
            partition_key=dynamodb.Attribute(name="artifact_key", type=dynamodb.AttributeType.STRING),
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(self.key),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def objects(self, prefix: str, *actions: str, why: str) -> Allow:
        """Actions on the objects under a prefix (which ends in ``*``)."""
        return Allow(actions, [self.bucket.arn_for_objects(prefix)], why=why)

    def listing(self, *prefixes: str) -> Allow:
        """The right to list these prefixes and no others."""
        return Allow(["s3:ListBucket"], [self.bucket.bucket_arn], when={"StringLike": {"s3:prefix": list(prefixes)}})

    def items(self, *actions: str) -> Allow:
        """Actions on the registry's items."""
        return Allow(actions, [self.registry.table_arn])

    def use_key(self) -> Allow:
        """What reading and writing under the key takes."""
        return Allow(["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], [key_arn(self.key)])

    def read_artifact(self, artifact_key: str) -> list[Allow]:
        """What a serving role needs to read one artifact, and nothing else of the bucket.

        :param artifact_key: ``*`` where a release decides which it is, and so for all.
        """
        prefix = "artifacts/*" if artifact_key == "*" else f"artifacts/{artifact_key}/*"
        why = "what is released is not known at deploy" if artifact_key == "*" else "one artifact"
        return [
            self.objects(prefix, "s3:GetObject", why=f"{why}: its files, whatever the compiler called them"),
            self.listing(prefix),
            Allow(["kms:Decrypt"], [self.key.key_arn]),
        ]

    def keep_load_balancer_logs(self) -> str:
        """Let load balancers of this account write to the log bucket; gives the prefix they are to use.

        The principals are those of the guides to access logs of application and of network load balancers.
        """
        prefix = "load-balancers"
        if self._keeps_load_balancer_logs:
            return prefix
        self._keeps_load_balancer_logs = True
        stack = Stack.of(self)
        where = self.access_log.arn_for_objects(f"{prefix}/AWSLogs/{stack.account}/*")
        account = {"StringEquals": {"aws:SourceAccount": stack.account}}
        for sid, principal, action, resource in (
            ("ApplicationLogs", "logdelivery.elasticloadbalancing.amazonaws.com", "s3:PutObject", where),
            ("NetworkLogs", "delivery.logs.amazonaws.com", "s3:PutObject", where),
            ("NetworkLogsOwner", "delivery.logs.amazonaws.com", "s3:GetBucketAcl", self.access_log.bucket_arn),
        ):
            self.access_log.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    principals=[iam.ServicePrincipal(principal)],
                    actions=[action],
                    resources=[resource],
                    conditions=account if principal.startswith("delivery") else None,
                )
            )
        return prefix

    def keep_access_logs(self) -> str:
        """Let any bucket of this account log its requests to the log bucket; gives the prefix they are to use.

        By account, not by bucket: buckets of endpoints are made in stacks that come after this one.
        """
        prefix = "buckets/"
        if self._keeps_access_logs:
            return prefix
        self._keeps_access_logs = True
        self.access_log.add_to_resource_policy(
            iam.PolicyStatement(
                sid="BucketsOfThisAccount",
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[self.access_log.arn_for_objects(f"{prefix}*")],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        return prefix

    def _let_logs_and_instances_use_the_key(self) -> None:
        stack = Stack.of(self)
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LogGroupsOfThisAccount",
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.{stack.url_suffix}")],
                actions=["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                resources=["*"],  # in a key policy "*" is this key
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": f"arn:{Aws.PARTITION}:logs:{stack.region}:"
                        f"{stack.account}:log-group:*"
                    }
                },
            )
        )
        # Auto Scaling launches instances with volumes under this key in the name of its service-linked role. No policy
        # of ours is on that role, so the key policy alone must let it (a statement for the account's root only lets IAM
        # policies decide), and a key policy refuses a principal that does not exist yet, as that role in a new account.
        # So: anybody, narrowed to it.
        auto_scaling = {
            "ArnLike": {
                "aws:PrincipalArn": f"arn:{Aws.PARTITION}:iam::{stack.account}:role/aws-service-role/"
                "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling*"
            }
        }
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="VolumesOfAutoScaling",
                principals=[iam.AnyPrincipal()],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                resources=["*"],
                conditions=auto_scaling,
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="GrantsOfAutoScaling",
                principals=[iam.AnyPrincipal()],
                actions=["kms:CreateGrant"],
                resources=["*"],
                conditions={**auto_scaling, "Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )
