"""What the containers of an endpoint may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from ..model import ArtifactStore
from ..nag import acknowledge_resources
from ..network.shape import Vpc
from ..place import arn, key_arn
from ..resource import resource
from ..roles import Allow, pull_image, sagemaker_role


def endpoint_role(
    scope: Construct,
    construct_id: str,
    *,
    vpc: Vpc,
    security_group_id: str,
    store: ArtifactStore,
    artifacts: Iterable[str],
    images: Iterable[str],
    allow: Sequence[Allow] = (),
) -> iam.Role:
    """One role for everything that an endpoint serves: these artifacts and images, one key, its logs.

    :param artifacts: their keys; ``*`` where a release decides which it is.
    :raises ValueError: when an image is in no private registry: SageMaker pulls from nowhere else.
    """
    keys = list(artifacts)
    prefixes = [f"artifacts/{key}/*" if key != "*" else "artifacts/*" for key in keys]
    what = "what is released is not known at deploy" if "*" in keys else "one artifact"
    pulls = {each.on[0]: each for each in map(pull_image, images)}
    return sagemaker_role(
        scope,
        construct_id,
        vpc=vpc,
        security_group_id=security_group_id,
        key=store.key,
        log_group="/aws/sagemaker/Endpoints/",
        allow=[
            *pulls.values(),
            Allow(
                ["s3:GetObject"],
                [store.bucket.arn_for_objects(prefix) for prefix in prefixes],
                why=f"{what}: its files, whatever the compiler called them",
            ),
            store.listing(*prefixes),
            Allow(["kms:Decrypt"], [key_arn(store.key)]),
            *allow,
        ],
    )


def let_it_see_alarms(
    scope: Construct,
    construct_id: str,
    *,
    role: iam.Role,
    alarms: Sequence[cloudwatch.CfnAlarm] = (),
    named: Sequence[str] = (),
) -> iam.CfnPolicy:
    """A policy of its own: the alarms know the configuration, which knows the models, which know the role.

    SageMaker looks at them in the role's name (guide, *Auto-Rollback Configuration and Monitoring*).

    :param named: alarms that are not of this stack, by name; of a release's, what their names begin with and ``*``.
    """
    arns = [*(alarm.attr_arn for alarm in alarms), *(arn(scope, "cloudwatch", f"alarm:{name}") for name in named)]
    look = Allow(["cloudwatch:DescribeAlarms"], arns, why="alarms of a release are called after endpoint and release")
    policy = resource(
        iam.CfnPolicy,
        scope,
        construct_id,
        policy_name=construct_id,
        policy_document={"Version": "2012-10-17", "Statement": [look.statement()]},
        roles=[role.role_name],
    )
    if reasons := look.reasons():
        acknowledge_resources(policy, reasons)
    return policy
