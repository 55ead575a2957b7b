"""An endpoint of the release pipeline: what CloudFormation would be told of it, as SageMaker's API has it.

Both forms come from the same functions, so that an endpoint is the same whoever makes it. What is not known before a
release stands as a placeholder, which ``neuron_hooks.release.endpoint`` fills in: ``{model}`` and ``{configuration}``
(names), ``{artifact_key}`` and ``{artifact_uri}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import IStableStringProducer, Lazy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ..place import arn, key_arn
from ..roles import Allow
from .hook import endpoint_rights

MODEL, CONFIGURATION, KEY, URI = "{model}", "{configuration}", "{artifact_key}", "{artifact_uri}"
_SPELLED = {"VolumeSizeInGb": "VolumeSizeInGB"}  # CloudFormation and API alike; the CDK's own spelling differs
_NAMED = "models, configurations and alarms are called as the endpoint is, and end in a release's id"


def blueprint(
    *,
    endpoint: str,
    model: Mapping[str, Any],
    configuration: Mapping[str, Any],
    deployment: Mapping[str, Any] | None,
    exclude: Sequence[Mapping[str, Any]],
    alarms: Mapping[str, Mapping[str, Any]],
    service: Mapping[str, Any],
    tagged: iam.Role,
) -> str:
    """The declaration of ``Custom::NeuronRelease``, as JSON. Properties come in the CDK's spelling.

    :param alarms: on the new fleet, by their names' endings.
    :param service: what is to be in service and how its size moves, as ``neuron_hooks.endpoint.declaration`` has it.
    :param tagged: the endpoint's role; what a release makes has the tags that it has.
    """
    watched = [{**as_api(alarm), "AlarmName": f"{CONFIGURATION}-{name}"} for name, alarm in alarms.items()]
    document = {
        "endpoint": endpoint,
        "model": {**as_api(model), "ModelName": MODEL},
        "configuration": {**as_api(configuration), "EndpointConfigName": CONFIGURATION},
        "deployment": as_api(deployment) if deployment else None,
        "exclude": as_api(exclude),
        "alarms": watched,
        "service": service,
    }
    # ARNs, ids and names, the only other tokens in it, need no escape.
    return f'{json.dumps(document, sort_keys=True)[:-1]}, "tags": {Lazy.string(_Tags(tagged))}}}'


@jsii.implements(IStableStringProducer)
class _Tags:
    """A role's tags as they are when everything has been tagged, as the API takes them, in JSON."""

    def __init__(self, role: iam.Role) -> None:
        self._role = role

    def produce(self) -> str:
        role = self._role.node.default_child
        assert isinstance(role, iam.CfnRole)
        return json.dumps(as_api(role.tags.render_tags() or []))


def as_api(value: Any) -> Any:
    """Properties in the CDK's spelling (``snake_case`` outside, ``camelCase`` inside) as the API spells them."""
    if isinstance(value, Mapping):
        # The names of environment variables are nobody's spelling but theirs.
        return {_pascal(name): one if name == "environment" else as_api(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_api(one) for one in value]
    return value


def _pascal(name: str) -> str:
    spelled = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    return _SPELLED.get(spelled, spelled)


def release_rights(scope: Construct, endpoint: str, role: iam.IRole, key: kms.IKey | None) -> list[Allow]:
    """What a release does to the endpoint, and what is called as it is.

    :param key: of the volumes, where the configuration names one.
    """
    made = f"{endpoint}-*"
    models, configurations = (arn(scope, "sagemaker", f"{kind}/{made}") for kind in ("model", "endpoint-config"))
    the_endpoint = arn(scope, "sagemaker", f"endpoint/{endpoint}")
    return [
        *endpoint_rights(scope, endpoint, (), made=made),
        Allow(["sagemaker:CreateModel", "sagemaker:DeleteModel"], [models], why=_NAMED),
        Allow(["sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpointConfig"], [configurations], why=_NAMED),
        Allow(["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], [the_endpoint, configurations], why=_NAMED),
        Allow(["sagemaker:DeleteEndpoint"], [the_endpoint]),
        # Tags at creation ask for it, too ("Provide permissions for tagging SageMaker resources", SageMaker guide).
        Allow(["sagemaker:AddTags"], [the_endpoint, models, configurations], why=_NAMED),
        Allow(
            ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"],
            ["*"],
            why="lists of names take no resource but *",
        ),
        Allow(
            ["iam:PassRole"],
            [role.role_arn],
            when={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        # Of who creates the endpoint, not of its role alone: "kms:CreateGrant (required only if the associated
        # EndPointConfig has a KmsKeyId specified)" (SageMaker guide, "API Permissions: Actions, Permissions, and
        # Resources Reference", CreateEndpoint).
        *([_grant(key)] if key else []),
    ]


def _grant(key: kms.IKey) -> Allow:
    return Allow(["kms:CreateGrant"], [key_arn(key)], when={"Bool": {"kms:GrantIsForAWSResource": "true"}})
