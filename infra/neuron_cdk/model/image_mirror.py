"""A public image in a private repository, for SageMaker, which pulls from nowhere else."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnResource, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_logs as logs
from constructs import Construct

from ..catalog import regions
from ..hook_function import HookFunction
from ..place import key_arn, place
from ..resource import resource
from ..roles import Allow, service_role
from .store import ArtifactStore

PUBLIC = "public.ecr.aws/"
# A carbon copy: registry to registry, nothing unpacked, so that the digest stays (Docker's reference, "docker buildx
# imagetools create"). No Docker daemon, so no privileges.
_LOOK = (
    'aws ecr describe-images --repository-name "${REPOSITORY#*/}" --image-ids "imageTag=$TAG"'
    " --query 'imageDetails[0].imageDigest' --output text > /tmp/digest"
)
_COPY = (
    'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"',
    # A tag that is there cannot be pushed again.
    f'{_LOOK} || docker buildx imagetools create --prefer-index=false --tag "$REPOSITORY:$TAG" "$SOURCE"',
    _LOOK,
    'test -z "$EXPECTED" || test "$(cat /tmp/digest)" = "$EXPECTED"',
)
# Runs whether the copy worked or not. Ids and digests need no escape in JSON.
_ANSWER = (
    'if [ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]; then STATUS=SUCCESS; else STATUS=FAILED; fi',
    'printf \'{"Status":"%s","Reason":"see the log of build %s","PhysicalResourceId":"%s","StackId":"%s",'
    '"RequestId":"%s","LogicalResourceId":"%s","Data":{"Digest":"%s"}}\' "$STATUS" "$CODEBUILD_BUILD_ID"'
    ' "$REPOSITORY:$TAG" "$STACK_ID" "$REQUEST_ID" "$LOGICAL_ID" "$(cat /tmp/digest 2>/dev/null)" > /tmp/answer',
    "curl --silent --show-error --fail --retry 5 --request PUT --header 'Content-Type:' --data-binary @/tmp/answer"
    ' "$ANSWER_URL"',
)


class ImageMirror(Construct):
    """Copies one image by CodeBuild when the stack is deployed, and pins it by digest.

    The repository's tags cannot be moved, its images are scanned and under the store's key, and it is kept when the
    stack goes. The build runs outside the VPC (it has nothing of ours, and a VPC may have no way to the public
    registry) and may write to this repository alone.

    :param image: ``public.ecr.aws/<repository>:<tag>``.
    :param digest: what it must be, ``sha256:…``. Without it, what the tag names when it is first copied.
    """

    image: str
    """``<account>.dkr.ecr.<region>.<suffix>/<repository>@sha256:…``; digest and repository are known at deploy."""
    digest: str
    """``sha256:…``, known at deploy."""

    def __init__(
        self, scope: Construct, construct_id: str, *, store: ArtifactStore, image: str, digest: str | None = None
    ) -> None:
        super().__init__(scope, construct_id)
        name, _, tag = image.rpartition(":")
        if not image.startswith(PUBLIC) or not tag or "/" in tag:
            raise ValueError(f"{image!r} is not a tagged image of the public registry, {PUBLIC}<repository>:<tag>")
        region, account = place(self)
        self._store = store
        repository = self._repository()
        where = f"{account}.dkr.ecr.{region}.{regions.get(region).dns_suffix}/{repository.ref}"
        project = self._project(repository, where)
        hook = HookFunction(
            self,
            "Hook",
            entry="compile.image_mirror",
            key=store.key,
            environment={"PROJECT": project.ref},
            allow=[Allow(["codebuild:StartBuild"], [project.attr_arn])],
        )
        copy = CfnResource(
            self,
            "Copy",
            type="Custom::NeuronImageMirror",
            properties={
                "ServiceToken": hook.function_arn,
                "ServiceTimeout": "3600",
                "Source": f"{name}@{digest}" if digest else image,
                "Tag": tag,
                "Digest": digest or "",
            },
        )
        self.digest = copy.get_att("Digest").to_string()
        self.image = f"{where}@{self.digest}"

    def _repository(self) -> ecr.CfnRepository:
        repository = resource(
            ecr.CfnRepository,
            self,
            "Repository",
            encryption_configuration={"encryptionType": "KMS", "kmsKey": key_arn(self._store.key)},
            image_scanning_configuration={"scanOnPush": True},
            image_tag_mutability="IMMUTABLE",
        )
        repository.apply_removal_policy(RemovalPolicy.RETAIN)
        return repository

    def _project(self, repository: ecr.CfnRepository, where: str) -> codebuild.CfnProject:
        log_group = resource(logs.CfnLogGroup, self, "Log", kms_key_id=key_arn(self._store.key), retention_in_days=90)
        log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        role = service_role(
            self,
            "Role",
            service="codebuild.amazonaws.com",
            this_account_only=True,
            allow=[
                Allow(["logs:CreateLogStream", "logs:PutLogEvents"], [log_group.attr_arn]),
                Allow(
                    [
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:CompleteLayerUpload",
                        "ecr:DescribeImages",
                        "ecr:GetDownloadUrlForLayer",
                        "ecr:InitiateLayerUpload",
                        "ecr:PutImage",
                        "ecr:UploadLayerPart",
                    ],
                    [repository.attr_arn],
                ),
                Allow(["ecr:GetAuthorizationToken"], ["*"], why="ECR's token takes no resource but *"),
            ],
        )
        buildspec: dict[str, Any] = {
            "type": "NO_SOURCE",
            "buildSpec": _yaml(_COPY, _ANSWER),
        }
        return resource(
            codebuild.CfnProject,
            self,
            "Project",
            service_role=role.role_arn,
            encryption_key=key_arn(self._store.key),
            artifacts={"type": "NO_ARTIFACTS"},
            source=buildspec,
            timeout_in_minutes=50,  # CloudFormation waits an hour
            environment={
                "type": "LINUX_CONTAINER",
                "computeType": "BUILD_GENERAL1_SMALL",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "environmentVariables": [{"name": "REPOSITORY", "value": where}],
            },
            logs_config={"cloudWatchLogs": {"status": "ENABLED", "groupName": log_group.ref}},
        )


def _yaml(build: tuple[str, ...], answer: tuple[str, ...]) -> str:
    """A build specification: version 0.2, one phase that works and one that answers."""
    phases = {"build": build, "post_build": answer}
    lines = ["version: 0.2", "phases:"]
    for phase, commands in phases.items():
        lines += [f"  {phase}:", "    commands:"]
        lines += [line for command in commands for line in ("      - |", f"        {command}")]
    return "\n".join(lines) + "\n"
