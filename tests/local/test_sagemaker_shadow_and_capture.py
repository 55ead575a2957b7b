"""A shadow variant gets copies that nobody sees the answers of; data capture writes requests and answers to S3."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]
_REQUEST = {"inputs": {"bytes": [[104] * 2048]}}


@pytest.fixture
def total(client: Clients, embedded_aws: EmbeddedAws) -> Callable[..., float]:
    """The sum of a metric of an endpoint's variant."""

    def read(name: str, variant: str, metric: str, **more: str) -> float:
        dimensions = {"EndpointName": name, "VariantName": variant} | more
        found = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=embedded_aws.set_clock() - 3600,  # not this machine's time: tests let days pass
            EndTime=embedded_aws.set_clock() + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(each["Sum"] for each in found))

    return read


@pytest.fixture
def shadowed(client: Clients, model_of: Any, endpoint_of: Any) -> Callable[[float], tuple[str, str, str]]:
    """An endpoint with a shadow of this weight by the main variant's 1; its name, and the models' names."""

    def make(weight: float) -> tuple[str, str, str]:
        main, shadow = model_of(), model_of()
        name = f"config-{uuid.uuid4().hex[:8]}"
        both = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        client("sagemaker").create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": "Main", "ModelName": main, "InitialVariantWeight": 1} | both],
            ShadowProductionVariants=[
                {"VariantName": "Shadow", "ModelName": shadow, "InitialVariantWeight": weight} | both
            ],
        )
        return endpoint_of(name), main, shadow

    return make


def test_a_shadow_that_fails_is_seen_in_its_metrics_alone(
    client: Clients, shadowed: Any, ask: Any, wrong: Any, total: Any, eventually: Any
) -> None:
    name, _, shadow = shadowed(1)
    wrong(fail={shadow: {"error_rate": 1.0}})

    answers = [ask(name)["InvokedProductionVariant"] for _ in range(5)]

    assert answers == ["Main"] * 5
    eventually(lambda: total(name, "Shadow", "Invocation5XXErrors") == 5)
    assert total(name, "Main", "Invocations") == 5
    assert total(name, "Main", "Invocation5XXErrors") == 0
    config = client("sagemaker").describe_endpoint(EndpointName=name)
    assert total(name, "Main", "Invocations", EndpointConfigName=config["EndpointConfigName"]) == 5
    (described,) = config["ShadowProductionVariants"]
    assert (described["VariantName"], described["CurrentInstanceCount"]) == ("Shadow", 1)


def test_a_shadow_gets_its_share(shadowed: Any, ask: Any, total: Any, eventually: Any) -> None:
    name, _, _ = shadowed(0.5)

    for _ in range(40):
        ask(name)

    eventually(lambda: total(name, "Shadow", "Invocations") >= 8)
    assert total(name, "Shadow", "Invocations") <= 32


def test_requests_and_answers_are_captured(
    client: Clients, config_of: Any, endpoint_of: Any, ask: Any, eventually: Any
) -> None:
    client("s3").create_bucket(Bucket="captured")
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captured/data",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    name = endpoint_of(config_of(more={"DataCaptureConfig": capture}))
    for number in range(3):
        ask(name, Body=json.dumps(_REQUEST), InferenceId=f"request-{number}")

    def lines() -> list[dict[str, Any]] | None:
        found = client("s3").list_objects_v2(Bucket="captured", Prefix=f"data/{name}/Main/").get("Contents", [])
        bodies = [client("s3").get_object(Bucket="captured", Key=item["Key"])["Body"].read() for item in found]
        read = [json.loads(line) for body in bodies for line in body.splitlines()]
        return read if len(read) == 3 else None

    captured = eventually(lines)

    assert {each["eventMetadata"]["inferenceId"] for each in captured} == {f"request-{number}" for number in range(3)}
    one = captured[0]["captureData"]
    assert json.loads(one["endpointInput"]["data"]) == _REQUEST
    assert (one["endpointInput"]["encoding"], one["endpointInput"]["mode"]) == ("JSON", "INPUT")
    assert json.loads(one["endpointOutput"]["data"])["outputs"]
    assert captured[0]["eventVersion"] == "0"
    described = client("sagemaker").describe_endpoint(EndpointName=name)["DataCaptureConfig"]
    assert (described["CaptureStatus"], described["CurrentSamplingPercentage"]) == ("Started", 100)


def test_a_content_type_that_is_not_named_is_captured_as_base64(
    client: Clients, config_of: Any, endpoint_of: Any, ask: Any, eventually: Any
) -> None:
    client("s3").create_bucket(Bucket="captured-raw")
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captured-raw/",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    name = endpoint_of(config_of(more={"DataCaptureConfig": capture}))
    ask(name, Body=json.dumps(_REQUEST))

    found = eventually(lambda: client("s3").list_objects_v2(Bucket="captured-raw").get("Contents"))

    body = client("s3").get_object(Bucket="captured-raw", Key=found[0]["Key"])["Body"].read()
    data = json.loads(body)["captureData"]
    assert set(data) == {"endpointInput"}
    assert json.loads(base64.b64decode(data["endpointInput"]["data"])) == _REQUEST


def test_a_shadow_goes_with_one_variant(client: Clients, model_of: Any, code_of: Any) -> None:
    model = model_of()
    variants = [
        {"VariantName": name, "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        for name in ("Main", "Other", "Shadow")
    ]

    refused = code_of(
        client("sagemaker").create_endpoint_config,
        EndpointConfigName="crowded",
        ProductionVariants=variants[:2],
        ShadowProductionVariants=variants[2:],
    )

    assert "exactly one production variant" in refused.message
