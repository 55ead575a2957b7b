"""The calls of an endpoint's hook, on the shared clients. Thin: what is asked and read lies beside it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .. import aws
from . import scaling, seen
from .declaration import Policy, Schedule, Target
from .scaling import Address
from .seen import Component, Configured, Endpoint, Model, Registered

_ANSWER_SECONDS = 70  # SageMaker gives a container 60 (InvokeEndpoint's reference)
_MOST_IDS = 50  # of one DescribeScalableTargets
_MOST_BYTES = 1000


class ContainerError(Exception):
    """A request was answered with an error."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an asynchronous request leaves its answer, and where its error."""

    answer: str
    error: str


def _is_absent(error: ClientError) -> bool:
    """SageMaker has no code for what does not exist."""
    answer = error.response["Error"]
    return answer["Code"] == "ValidationException" and "could not find" in answer["Message"].lower()


# -- SageMaker -------------------------------------------------------------------------------------------------------


def _described(operation: str, **request: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = getattr(aws.client("sagemaker"), operation)(**request)
    except ClientError as error:
        if _is_absent(error):
            return None
        raise
    return found


def endpoint(name: str) -> Endpoint | None:
    """The endpoint as it is, None when there is none."""
    found = _described("describe_endpoint", EndpointName=name)
    return seen.endpoint(found) if found else None


def configuration(name: str) -> dict[str, Configured] | None:
    """The variants of a configuration by name, None when there is no such configuration."""
    found = _described("describe_endpoint_config", EndpointConfigName=name)
    return seen.configuration(found) if found else None


def models(names: Iterable[str]) -> dict[str, Model]:
    """Models by name, without those that do not exist."""
    found = {name: _described("describe_model", ModelName=name) for name in sorted(set(names))}
    return {name: seen.model(one) for name, one in found.items() if one}


def component(name: str) -> Component | None:
    """The component as it is, None when there is none."""
    found = _described("describe_inference_component", InferenceComponentName=name)
    return seen.component(found) if found else None


def wake_variant(endpoint: str, variant: str) -> None:
    """Ask for one instance."""
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": variant, "DesiredInstanceCount": 1}]
    )


def wake_component(name: str) -> None:
    """Ask for one copy."""
    aws.client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": 1}
    )


# -- Smoke tests -----------------------------------------------------------------------------------------------------


def invoke(request: dict[str, Any]) -> bytes:
    """Ask a container; its whole answer.

    :raises ContainerError: with what it said, when it answers with an error.
    """
    try:
        answered: bytes = aws.client("sagemaker-runtime", _ANSWER_SECONDS).invoke_endpoint(**request)["Body"].read()
    except ClientError as error:
        if aws.passes(error):
            raise
        answer = error.response
        said = answer.get("OriginalMessage") or answer["Error"]["Message"]
        raise ContainerError(f"{answer.get('OriginalStatusCode') or answer['Error']['Code']}: {said}") from error
    return answered


def put(uri: str, content: bytes) -> None:
    """Write an object; the bucket's default encryption applies."""
    bucket, key = _parts(uri)
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=content, ContentType="application/json")


def delete(uri: str) -> None:
    """Delete an object."""
    bucket, key = _parts(uri)
    aws.client("s3").delete_object(Bucket=bucket, Key=key)


def read(uri: str, most_bytes: int = _MOST_BYTES) -> bytes | None:
    """The beginning of an object; None when it is not there."""
    bucket, key = _parts(uri)
    return aws.read(bucket, key, most_bytes)


def _parts(uri: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def invoke_later(endpoint: str, uri: str) -> Outcome:
    """Queue a request that lies in S3."""
    answer = aws.client("sagemaker-runtime", _ANSWER_SECONDS).invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=uri, ContentType="application/json", Accept="application/json"
    )
    return Outcome(answer["OutputLocation"], answer.get("FailureLocation", ""))


# -- Application Auto Scaling ----------------------------------------------------------------------------------------


def _all(operation: str, member: str, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = getattr(aws.client("application-autoscaling"), operation)(**request)
        found += answer[member]
        if not answer.get("NextToken"):
            return found
        request["NextToken"] = answer["NextToken"]


def registered(addresses: Iterable[Address]) -> dict[Address, Registered]:
    """Those of the addresses that are scalable targets, with what belongs to them."""
    wanted, found = sorted(set(addresses)), []
    for dimension in (scaling.VARIANT, scaling.COMPONENT):
        ids = [at.id for at in wanted if at.dimension == dimension]
        for start in range(0, len(ids), _MOST_IDS):
            found += _all(
                "describe_scalable_targets",
                "ScalableTargets",
                ServiceNamespace="sagemaker",
                ScalableDimension=dimension,
                ResourceIds=ids[start : start + _MOST_IDS],
            )
    there = {Address(one["ResourceId"], one["ScalableDimension"]): one for one in found}
    return {
        at: seen.registered(
            one,
            _all("describe_scaling_policies", "ScalingPolicies", **at.request()),
            _all("describe_scheduled_actions", "ScheduledActions", **at.request()),
        )
        for at, one in there.items()
    }


def register(at: Address, target: Target) -> None:
    aws.client("application-autoscaling").register_scalable_target(**scaling.register(at, target))


def put_policy(at: Address, policy: Policy, endpoint: str) -> None:
    """Make or change a policy, and the alarm that calls it where it has one of its own."""
    arn = aws.client("application-autoscaling").put_scaling_policy(**scaling.put_policy(at, policy))
    if policy.kind == "step":
        aws.client("cloudwatch").put_metric_alarm(**scaling.put_alarm(at, policy, arn["PolicyARN"], endpoint))


def put_schedule(at: Address, schedule: Schedule) -> None:
    aws.client("application-autoscaling").put_scheduled_action(**scaling.put_schedule(at, schedule))


def delete_policy(at: Address, name: str) -> None:
    _gone("application-autoscaling", "delete_scaling_policy", PolicyName=name, **at.request())


def delete_schedule(at: Address, name: str) -> None:
    _gone("application-autoscaling", "delete_scheduled_action", ScheduledActionName=name, **at.request())


def deregister(at: Address) -> None:
    """Take a target away, and with it its policies and scheduled actions."""
    _gone("application-autoscaling", "deregister_scalable_target", **at.request())


def delete_alarm(name: str) -> None:
    _gone("cloudwatch", "delete_alarms", AlarmNames=[name])


def _gone(service: str, operation: str, **request: Any) -> None:
    """Delete what may be gone already."""
    try:
        getattr(aws.client(service), operation)(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ObjectNotFoundException", "ResourceNotFound"):
            raise
