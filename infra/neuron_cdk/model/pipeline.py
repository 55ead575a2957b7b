"""The compile pipeline: six hooks, three state machines, the roles its jobs run under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, IgnoreMode
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from ..assets import lambda_root, only
from ..hook_function import HookFunction
from ..network.security_groups import client_security_group
from ..network.shape import Vpc
from ..place import arn, partition
from ..roles import Allow, also_allow, pull_image, sagemaker_role
from .alarms import PipelineAlarms
from .housekeeping import KEEP_DAYS, Housekeeping
from .machinery import StateMachine, invoke, model_hook
from .metrics import ModelMetrics
from .state_machines import compile_machine, job_machine, request_machine
from .store import ArtifactStore
from .telling import telling_rights
from .watch import SourceWatch

# CloudFormation waits an hour for a custom resource; five minutes of it are left for the answer to be given.
DEADLINE = Duration.minutes(55)
# What a lease lasts beyond the compile's own limit: finding a host and starting it.
LEASE_MARGIN = Duration.minutes(60)
# What joins parts copies gigabytes, S3 to S3; what registers reads files that S3 has no sha256 of.
_FILES_SECONDS = 900


class CompilePipeline(Construct, ModelMetrics):
    """Compiles each model once, whoever asks and however often.

    Lambda orchestrates and never compiles: ``neuronx-cc`` needs gigabytes and up to an hour, so it runs in a SageMaker
    processing job on a CPU host, inside the VPC, without a network of its own. Requests and compiles are separate
    executions (see ``state_machines``), joined by the registry alone.

    ``service_token`` is what ``CompiledModel`` hands to CloudFormation. Its function's logical id never changes:
    CloudFormation cannot move a custom resource to another token.

    :param poll: how often a request that waits looks at the registry.
    :param keep_days: how long an artifact that nobody uses is kept after it was used last.
    """

    alarms: PipelineAlarms
    """Without actions: ``for alarm in pipeline.alarms: alarm.add_alarm_action(…)``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: ArtifactStore,
        vpc: Vpc,
        poll: Duration | None = None,
        keep_days: int = KEEP_DAYS,
    ) -> None:
        super().__init__(scope, construct_id)
        self.store = store
        self._poll = poll or Duration.seconds(15)
        self._jobs = s3_assets.Asset(
            self, "Jobs", path=str(lambda_root()), exclude=only("neuron_jobs"), ignore_mode=IgnoreMode.GIT
        )
        group = client_security_group(
            self, "JobSecurityGroup", vpc=vpc, description="Compile jobs: TLS to AWS, nothing in"
        ).attr_group_id
        self._vpc, self._security_group = vpc, group
        self.job_role = self._job_role("JobRole")
        self._mirror_role: iam.Role | None = None
        self._watch: SourceWatch | None = None
        registry, bucket = store.registry.table_name, store.bucket.bucket_name

        telling = telling_rights(self)
        register = self._hook(
            "Register",
            "compile.register_artifact",
            {"REGISTRY_TABLE": registry, "ARTIFACT_BUCKET": bucket},
            store.items("dynamodb:UpdateItem"),
            store.objects("artifacts/*", "s3:GetObject", why="artifacts of every key"),
            store.listing("artifacts/*"),  # so that a missing object is "not found" and not "denied"
            telling,
            timeout_seconds=_FILES_SECONDS,
        )
        join = model_hook(
            self,
            "Join",
            store=store,
            entry="compile.join_parts",
            environment={"ARTIFACT_BUCKET": bucket},
            allow=(
                store.objects("artifacts/*", "s3:GetObject", "s3:PutObject", why="artifacts of every key"),
                store.listing("artifacts/*"),
            ),
            timeout_seconds=_FILES_SECONDS,
        )
        record_failure = self._hook(
            "RecordFailure",
            "compile.record_failure",
            {"REGISTRY_TABLE": registry},
            store.items("dynamodb:UpdateItem"),
            Allow(
                ["logs:DescribeLogStreams", "logs:GetLogEvents"],
                [arn(self, "logs", "log-group:/aws/sagemaker/ProcessingJobs:*")],
                why="SageMaker names a job's log streams after the job and a number of its own",
            ),
            telling,
        )
        self._job = self._machine(
            "JobRun",
            job_machine(),
            Allow(
                [
                    "sagemaker:AddTags",
                    "sagemaker:CreateProcessingJob",
                    "sagemaker:DescribeProcessingJob",
                    "sagemaker:ListTags",  # Step Functions tags the jobs it waits for, and looks
                    "sagemaker:StopProcessingJob",
                ],
                [arn(self, "sagemaker", "processing-job/*")],
                why="jobs are named after artifact keys, which are known when they are made",
            ),
            _pass_role(self.job_role),
            # How Step Functions learns that a job it waits for has ended: a rule of its own, by this name.
            Allow(
                ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
                [arn(self, "events", "rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule")],
            ),
        )
        self._compile = self._machine(
            "Compile",
            compile_machine(
                job_machine=self._job.arn,
                join=join.function_arn,
                register=register.function_arn,
                record_failure=record_failure.function_arn,
            ),
            invoke(join, register, record_failure),
            *self._job.may_be_run(),
        )
        self.compile_machine = self._compile.resource
        begin = self._hook(
            "Begin",
            "compile.begin_compile",
            {
                "REGISTRY_TABLE": registry,
                "ARTIFACT_BUCKET": bucket,
                "JOB_ROLE_ARN": self.job_role.role_arn,
                "KEY_ARN": store.key.key_arn,
                "SUBNETS": ",".join(subnet.subnet_id for subnet in vpc.private_subnets),
                "SECURITY_GROUPS": group,
                "JOBS_CODE_URI": self._jobs.s3_object_url,
                "LEASE_SECONDS": str(LEASE_MARGIN.to_seconds()),
            },
            store.items("dynamodb:GetItem", "dynamodb:UpdateItem"),
            store.objects("requests/*", "s3:PutObject", why="requests for every key"),
            telling,
        )
        self._begin = begin
        answer = self._hook(
            "Answer", "compile.answer_cloudformation", {"REGISTRY_TABLE": registry}, store.items("dynamodb:UpdateItem")
        )
        self._request = self._machine(
            "Request",
            request_machine(
                begin=begin.function_arn,
                record_failure=record_failure.function_arn,
                answer=answer.function_arn,
                compile_machine=self.compile_machine.attr_arn,
                registry=registry,
            ),
            invoke(begin, record_failure, answer),
            store.items("dynamodb:GetItem"),
            store.use_key(),
            Allow(["states:StartExecution"], [self.compile_machine.attr_arn]),
        )
        self.request_machine = self._request.resource
        # It runs itself for what must be an artifact first: a policy of its own, or role and machine would need each
        # other before either is there.
        also_allow(self._request.role, *self._request.may_be_run())
        self._compile.when_it_dies(self, "CompileDied", record_failure)
        self._request.when_it_dies(self, "RequestDied", answer)
        entry = self._hook(
            "CompiledModel",
            "compile.compiled_model",
            {
                "REGISTRY_TABLE": registry,
                "REQUEST_MACHINE_ARN": self.request_machine.attr_arn,
                "DEADLINE_SECONDS": str(DEADLINE.to_seconds()),
                "POLL_SECONDS": str(self._poll.to_seconds()),
            },
            Allow(["states:StartExecution"], [self.request_machine.attr_arn]),
            store.items("dynamodb:UpdateItem"),
        )
        self.service_token = entry.function_arn
        self.housekeeping = Housekeeping(self, "Housekeeping", store=store, keep_days=keep_days)
        self.alarms = PipelineAlarms(self, "Alarms")

    def allow_source(self, bucket: str, prefix: str) -> None:
        """Let the pipeline read one model's source: its digest is taken by ``Begin``, its content by the job."""
        bucket_arn = f"arn:{partition()}:s3:::{bucket}"
        files = [f"{bucket_arn}/{prefix}*"]
        why = "a model's source is a prefix: its files have whatever names they have"
        listing = Allow(["s3:ListBucket"], [bucket_arn], when={"StringLike": {"s3:prefix": f"{prefix}*"}})
        self._begin.role.allow(listing, Allow(["s3:GetObject"], files, why=why))
        also_allow(self.job_role, listing, Allow(["s3:GetObject"], files, why=why))

    def watch_source(self, name: str, bucket: str, prefix: str) -> None:
        """Have a model compiled again when something is uploaded under its prefix, which ends in ``/``."""
        if self._watch is None:
            self._watch = SourceWatch(
                self,
                "Watch",
                store=self.store,
                request_machine_arn=self.request_machine.attr_arn,
                poll=self._poll,
            )
        self._watch.add(name, bucket, prefix)

    def allow_image(self, image: str) -> None:
        """Let compile jobs pull one image, given by its URI in a private registry."""
        also_allow(self.job_role, pull_image(image))

    def allow_mirror(self, image: str, token_secret_arn: str | None) -> iam.Role:
        """Let the pipeline fetch a Hugging Face repository; gives the role that the job which does it runs under.

        That job alone has a network of its own and may read secrets. Compile jobs may then read artifacts, among which
        the mirrors are.
        """
        if self._mirror_role is None:
            self._mirror_role = self._job_role("MirrorRole")
            also_allow(self._job.role, _pass_role(self._mirror_role))
            also_allow(
                self.job_role,
                self.store.objects("artifacts/*", "s3:GetObject", why="mirrors are artifacts of keys made at deploy"),
            )
        also_allow(self._mirror_role, pull_image(image))
        if token_secret_arn:
            also_allow(
                self._mirror_role,
                Allow(["secretsmanager:GetSecretValue"], [token_secret_arn]),
                Allow(
                    ["kms:Decrypt"],
                    [arn(self, "kms", "key/*")],
                    why="a secret may be under a key of its owner, whose id only the secret knows",
                    when={"StringEquals": {"kms:EncryptionContext:SecretARN": token_secret_arn}},
                ),
            )
        return self._mirror_role

    # -- parts -------------------------------------------------------------------------------------------------------

    def _hook(
        self,
        construct_id: str,
        entry: str,
        environment: Mapping[str, str],
        *allow: Allow,
        timeout_seconds: int = 60,
    ) -> HookFunction:
        return model_hook(
            self,
            construct_id,
            store=self.store,
            entry=entry,
            environment=environment,
            allow=allow,
            timeout_seconds=timeout_seconds,
        )

    def _machine(self, construct_id: str, definition: dict[str, Any], *allow: Allow) -> StateMachine:
        return StateMachine(self, construct_id, store=self.store, definition=definition, allow=allow)

    def _job_role(self, construct_id: str) -> iam.Role:
        jobs_bucket = f"arn:{partition()}:s3:::{self._jobs.s3_bucket_name}"
        code = self._jobs.s3_object_key
        return sagemaker_role(
            self,
            construct_id,
            key=self.store.key,
            log_group="/aws/sagemaker/ProcessingJobs",
            vpc=self._vpc,
            security_group_id=self._security_group,
            allow=[
                self.store.objects("requests/*", "s3:GetObject", why="the role serves jobs of every key"),
                self.store.objects("artifacts/*", "s3:PutObject", why="the role serves jobs of every key"),
                self.store.listing("requests/*", "artifacts/*"),
                Allow(["s3:GetObject"], [f"{jobs_bucket}/{code}"]),
                Allow(["s3:ListBucket"], [jobs_bucket], when={"StringEquals": {"s3:prefix": code}}),
            ],
        )


def _pass_role(role: iam.Role) -> Allow:
    return Allow(
        ["iam:PassRole"],
        [role.role_arn],
        when={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )
