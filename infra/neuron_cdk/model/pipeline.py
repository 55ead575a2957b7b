"""The compile pipeline: five hooks, two state machines, the role a compile job runs under."""

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
from .machinery import StateMachine, invoke, model_hook
from .state_machines import compile_machine, request_machine
from .store import ArtifactStore

# CloudFormation waits an hour for a custom resource; five minutes of it are left for the answer to be given.
DEADLINE = Duration.minutes(55)
# What a lease lasts beyond the compile's own limit: finding a host and starting it.
LEASE_MARGIN = Duration.minutes(30)


class CompilePipeline(Construct):
    """Compiles each model once, whoever asks and however often.

    Lambda orchestrates and never compiles: ``neuronx-cc`` needs gigabytes and up to an hour, so it runs in a SageMaker
    processing job on a CPU host, inside the VPC, without a network of its own. Requests and compiles are separate
    executions (see ``state_machines``), joined by the registry alone.

    ``service_token`` is what ``CompiledModel`` hands to CloudFormation. Its function's logical id never changes:
    CloudFormation cannot move a custom resource to another token.

    :param poll: how often a request that waits looks at the registry.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: ArtifactStore,
        vpc: Vpc,
        poll: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.store = store
        self._jobs = s3_assets.Asset(
            self, "Jobs", path=str(lambda_root()), exclude=only("neuron_jobs"), ignore_mode=IgnoreMode.GIT
        )
        group = client_security_group(
            self, "JobSecurityGroup", vpc=vpc, description="Compile jobs: TLS to AWS, nothing in"
        ).attr_group_id
        self.job_role = self._job_role(vpc, group)
        registry, bucket = store.registry.table_name, store.bucket.bucket_name

        register = self._hook(
            "Register",
            "register_artifact",
            {"REGISTRY_TABLE": registry, "ARTIFACT_BUCKET": bucket},
            store.items("dynamodb:UpdateItem"),
            store.objects("artifacts/*", "s3:GetObject", why="artifacts of every key"),
            store.listing("artifacts/*"),  # so that a missing object is "not found" and not "denied"
        )
        record_failure = self._hook(
            "RecordFailure",
            "record_failure",
            {"REGISTRY_TABLE": registry},
            store.items("dynamodb:UpdateItem"),
            Allow(
                ["logs:DescribeLogStreams", "logs:GetLogEvents"],
                [arn(self, "logs", "log-group:/aws/sagemaker/ProcessingJobs:*")],
                why="SageMaker names a job's log streams after the job and a number of its own",
            ),
        )
        self._compile = self._machine(
            "Compile",
            compile_machine(register=register.function_arn, record_failure=record_failure.function_arn),
            invoke(register, record_failure),
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
            Allow(
                ["iam:PassRole"],
                [self.job_role.role_arn],
                when={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            # How Step Functions learns that a job it waits for has ended: a rule of its own, by this name.
            Allow(
                ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
                [arn(self, "events", "rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule")],
            ),
        )
        self.compile_machine = self._compile.resource
        begin = self._hook(
            "Begin",
            "begin_compile",
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
        )
        self._begin = begin
        answer = self._hook("Answer", "answer_cloudformation", {})
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
        self._compile.when_it_dies(self, "CompileDied", record_failure)
        self._request.when_it_dies(self, "RequestDied", answer)
        entry = self._hook(
            "CompiledModel",
            "compiled_model",
            {
                "REQUEST_MACHINE_ARN": self.request_machine.attr_arn,
                "DEADLINE_SECONDS": str(DEADLINE.to_seconds()),
                "POLL_SECONDS": str((poll or Duration.seconds(15)).to_seconds()),
            },
            Allow(["states:StartExecution"], [self.request_machine.attr_arn]),
        )
        self.service_token = entry.function_arn

    def allow_source(self, bucket: str, prefix: str) -> None:
        """Let the pipeline read one model's source: its digest is taken by ``Begin``, its content by the job."""
        bucket_arn = f"arn:{partition()}:s3:::{bucket}"
        files = [f"{bucket_arn}/{prefix}*"]
        why = "a model's source is a prefix: its files have whatever names they have"
        listing = Allow(["s3:ListBucket"], [bucket_arn], when={"StringLike": {"s3:prefix": f"{prefix}*"}})
        self._begin.role.allow(listing, Allow(["s3:GetObject", "s3:GetObjectVersion"], files, why=why))
        also_allow(self.job_role, listing, Allow(["s3:GetObject"], files, why=why))

    def allow_image(self, image: str) -> None:
        """Let compile jobs pull one image, given by its URI in a private registry."""
        also_allow(self.job_role, pull_image(image))

    # -- parts -------------------------------------------------------------------------------------------------------

    def _hook(self, construct_id: str, entry: str, environment: Mapping[str, str], *allow: Allow) -> HookFunction:
        return model_hook(self, construct_id, store=self.store, entry=entry, environment=environment, allow=allow)

    def _machine(self, construct_id: str, definition: dict[str, Any], *allow: Allow) -> StateMachine:
        return StateMachine(self, construct_id, store=self.store, definition=definition, allow=allow)

    def _job_role(self, vpc: Vpc, security_group_id: str) -> iam.Role:
        jobs_bucket = f"arn:{partition()}:s3:::{self._jobs.s3_bucket_name}"
        code = self._jobs.s3_object_key
        return sagemaker_role(
            self,
            "JobRole",
            key=self.store.key,
            log_group="/aws/sagemaker/ProcessingJobs",
            vpc=vpc,
            security_group_id=security_group_id,
            allow=[
                self.store.objects("requests/*", "s3:GetObject", why="the role serves jobs of every key"),
                self.store.objects("artifacts/*", "s3:PutObject", why="the role serves jobs of every key"),
                self.store.listing("requests/*", "artifacts/*"),
                Allow(["s3:GetObject"], [f"{jobs_bucket}/{code}"]),
                Allow(["s3:ListBucket"], [jobs_bucket], when={"StringEquals": {"s3:prefix": code}}),
            ],
        )
