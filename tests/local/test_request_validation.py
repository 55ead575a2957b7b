"""Requests are held to the service's own model, and refused in its words."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws

_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request"


@pytest.fixture
def send(embedded_aws: EmbeddedAws) -> Callable[..., dict[str, Any]]:
    """A request as it is, without the checks that botocore's client makes; the error."""

    def post(operation: str, request: Any) -> dict[str, Any]:
        headers = {"X-Amz-Target": f"SageMaker.{operation}", "Authorization": _AUTHORIZATION}
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(embedded_aws.url, body, headers))
        with caught.value as answer:
            error: dict[str, Any] = json.loads(answer.read())
        return error

    return post


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RoleArn": None}, "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"),
        (
            {"ProcessingJobName": "-no"},
            "Value '-no' at 'processingJobName' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"ProcessingJobName": "a" * 64},
            "failed to satisfy constraint: Member must have length less than or equal to 63",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
            "Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": "60"}},
            "Value '60' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: "
            "Member must be of type integer",
        ),
        (
            {"ProcessingInputs": [{"S3Input": {}}]},
            "Value null at 'processingInputs.1.member.inputName' failed to satisfy constraint",
        ),
        ({"Hosts": []}, "Unknown member 'hosts'"),
    ],
)
def test_what_the_model_forbids_is_refused(
    change: dict[str, Any], message: str, send: Any, job_request: Callable[..., dict[str, Any]]
) -> None:
    error = send("CreateProcessingJob", job_request("bucket") | change)

    assert error["__type"] == "ValidationException"
    assert "validation error" in error["message"]
    assert message in error["message"]


def test_an_instance_type_that_the_service_does_not_have_is_refused(
    send: Any, job_request: Callable[..., dict[str, Any]]
) -> None:
    request = job_request("bucket")
    request["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "m5.large"

    error = send("CreateProcessingJob", request)

    path = "processingResources.clusterConfig.instanceType"
    assert f"Value 'm5.large' at '{path}' failed to satisfy constraint: Member must satisfy enum" in error["message"]


def test_all_problems_are_told_at_once(send: Any) -> None:
    error = send("CreateModel", {})

    assert error["message"].startswith("1 validation error detected: Value null at 'modelName'")
    assert send("CreateEndpoint", {})["message"].startswith("2 validation errors detected: ")


def test_a_body_that_is_not_json_is_a_serialization_error(send: Any) -> None:
    assert send("CreateModel", b"{")["__type"] == "SerializationException"


def test_an_operation_that_is_not_there_is_told(send: Any) -> None:
    assert send("CreateTrainingJob", {})["message"] == "CreateTrainingJob is not part of the embedded AWS"
    assert send("CreateNothing", {})["__type"] == "UnknownOperationException"
