"""What stands before and behind an update of an endpoint: a function, two custom resources, a rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import CfnResource
from aws_cdk import aws_events as events
from constructs import Construct

from ..hook_function import HookFunction
from ..model import ArtifactStore
from ..place import arn, partition, place, table
from ..resource import resource
from ..roles import Allow

_SECONDS = 900  # what Lambda gives a function; both resources end long before in the usual case
_ANYTIME_NAMES = "models and configurations have names that CloudFormation makes up, old ones and new ones"
_TARGETS = "a scalable target's ARN holds an id nobody knows before; the conditions leave SageMaker's endpoints"
_DESCRIBE = "these Describe and List actions take no resource but *"


class EndpointHook(Construct):
    """``neuron_hooks.endpoint.hook`` for one endpoint.

    ``change`` comes before the endpoint: it takes away scalable targets that SageMaker would refuse an update for.
    :meth:`in_service` adds what comes behind it: it compares what is in service with what was asked, runs the smoke
    tests, registers scaling, and fails the stack when something is not as it should be. A rule calls the function when
    the endpoint is in service again, which is the way back after a roll-back.

    :param endpoint: the endpoint's name, known beforehand; the key of its record in the registry, too.
    :param components: the names of its inference components.
    :param configuration: the name of the configuration that is to be in service.
    :param allow: what its smoke tests need beside.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: str,
        components: Sequence[str],
        configuration: str,
        store: ArtifactStore,
        allow: Sequence[Allow] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint, self._configuration = endpoint, configuration
        self._function = HookFunction(
            self,
            "Function",
            entry="endpoint.hook",
            key=store.key,
            environment={"REGISTRY_TABLE": table(store.registry)[0], "ENDPOINT_KEY": endpoint},
            allow=[
                Allow(
                    ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:UpdateItem"],
                    [table(store.registry)[1]],
                    when={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"endpoint#{endpoint}"]}},
                ),
                store.use_key(),
                *endpoint_rights(self, endpoint, components),
                *allow,
            ],
            timeout_seconds=_SECONDS,
        )
        self.change = self._resource("Change", "Custom::NeuronEndpointChange")
        rule = resource(
            events.CfnRule,
            self,
            "Rule",
            event_pattern={
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Endpoint State Change"],
                # The guide's example has the status in capitals, the API has not.
                "detail": {"EndpointName": [endpoint], "EndpointStatus": ["IN_SERVICE", "InService"]},
            },
            targets=[{"id": "Hook", "arn": self._function.function_arn}],
        )
        self._function.answer_rule("RulePermission", rule.attr_arn)

    def in_service(
        self, *, after: Sequence[CfnResource], declaration: Mapping[str, Any], artifacts: Sequence[str]
    ) -> None:
        """Verify, and register scaling, after these resources.

        :param artifacts: keys of everything that is served: the resource changes with them.
        """
        behind = self._resource(
            "InService",
            "Custom::NeuronEndpointInService",
            EndpointName=self._endpoint,
            # Model names and artifact keys, the only tokens in it, need no escape.
            Declaration=json.dumps(declaration, sort_keys=True),
            Release=list(artifacts),
        )
        for each in after:
            behind.add_resource_dependency(each)

    def _resource(self, construct_id: str, kind: str, **properties: Any) -> CfnResource:
        return CfnResource(
            self,
            construct_id,
            type=kind,
            properties={
                "ServiceToken": self._function.function_arn,
                "ServiceTimeout": str(_SECONDS),
                "EndpointKey": self._endpoint,
                "Configuration": self._configuration,
                **properties,
            },
        )


def golden_rights(store: ArtifactStore, *artifacts: str) -> Allow:
    """To read the golden examples of these artifacts, and the manifests that say whether there are any.

    :param artifacts: their keys; ``*`` where a release decides which it is.
    """
    files = [f"artifacts/{key}/*/{name}" for key in artifacts for name in ("golden.json", "manifest.json")]
    return Allow(
        ["s3:GetObject"],
        [store.bucket.arn_for_objects(file) for file in files],
        why="two files of an artifact, under the name of the attempt that made it",
    )


def endpoint_rights(scope: Construct, endpoint: str, components: Sequence[str], *, made: str = "*") -> list[Allow]:
    """To look at this endpoint and its components, ask them and scale them, by name; on what has no name beforehand, as
    narrow as AWS lets it be.

    :param made: what the names of its models and configurations match.
    """
    endpoint_arn = arn(scope, "sagemaker", f"endpoint/{endpoint}")
    component_arns = [arn(scope, "sagemaker", f"inference-component/{name}") for name in components]
    dimensions = ["sagemaker:variant:DesiredInstanceCount"]
    if components:
        dimensions = ["sagemaker:inference-component:DesiredCopyCount"]
    alarms = [
        name
        for each in components or [endpoint]
        for name in (f"{each}-*", f"TargetTracking-{'inference-component' if components else 'endpoint'}/{each}*")
    ]
    role = "sagemaker.application-autoscaling.amazonaws.com"
    linked = f"role/aws-service-role/{role}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    rights = [
        # The last one is asked of whoever registers a scalable target (Application Auto Scaling guide).
        Allow(
            [
                "sagemaker:DescribeEndpoint",
                "sagemaker:InvokeEndpoint",
                "sagemaker:InvokeEndpointAsync",
                "sagemaker:UpdateEndpointWeightsAndCapacities",
            ],
            [endpoint_arn],
        ),
        Allow(
            ["sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"],
            [arn(scope, "sagemaker", f"endpoint-config/{made}"), arn(scope, "sagemaker", f"model/{made}")],
            why=_ANYTIME_NAMES,
        ),
        Allow(
            [
                "application-autoscaling:DeleteScalingPolicy",
                "application-autoscaling:DeleteScheduledAction",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
            ],
            [arn(scope, "application-autoscaling", "scalable-target/*")],
            why=_TARGETS,
            when={
                "StringEquals": {
                    "application-autoscaling:service-namespace": "sagemaker",
                    "application-autoscaling:scalable-dimension": dimensions,
                }
            },
        ),
        Allow(
            [
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
                "application-autoscaling:DescribeScheduledActions",
            ],
            ["*"],
            why=_DESCRIBE,
        ),
        Allow(
            ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            [arn(scope, "cloudwatch", f"alarm:{name}") for name in alarms],
            why="alarms of this endpoint's policies, ours and those that target tracking makes with an id of its own",
        ),
        Allow(
            ["iam:CreateServiceLinkedRole"],
            [f"arn:{partition()}:iam::{place(scope)[1]}:{linked}"],
            when={"StringEquals": {"iam:AWSServiceName": role}},
        ),
    ]
    if components:
        rights += [
            Allow(
                [
                    "sagemaker:DescribeInferenceComponent",
                    "sagemaker:InvokeEndpoint",
                    "sagemaker:UpdateInferenceComponentRuntimeConfig",
                ],
                component_arns,
            )
        ]
    return rights
