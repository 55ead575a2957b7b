"""Endpoints in the embedded AWS serve: one process per instance, brought up, swapped and ended as SageMaker does."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.account import IMAGE, ROLE

Clients = Callable[[str], Any]
_BODY = json.dumps({"inputs": {"bytes": [[104] * 2048]}})


@pytest.fixture
def configure(client: Clients, artifact: str) -> Callable[..., str]:
    """A model and an endpoint configuration for it; the configuration's name."""

    def make(*, uri: str | None = None, image: str = IMAGE, **variant: Any) -> str:
        name = f"served-{uuid.uuid4().hex[:8]}"
        source = {"S3Uri": uri or artifact, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"Image": image, "ModelDataSource": {"S3DataSource": source}}
        client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        main = {"VariantName": "Main", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[main | variant])
        return name

    return make


@pytest.fixture
def endpoint(client: Clients, configure: Any, settled: Any, eventually: Any) -> Iterator[str]:
    name = configure()
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert settled(name)["EndpointStatus"] == "InService"
    yield name
    client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.fixture
def invoke(client: Clients) -> Callable[..., Any]:
    def call(name: str, body: str = _BODY, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=body, **more
        )
        return answer

    return call


def test_an_endpoint_answers_with_the_models_own_scores(invoke: Any, endpoint: str) -> None:
    answer = invoke(endpoint)

    (scores,) = json.loads(answer["Body"].read())["outputs"]["target_label"]
    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "Main"


def test_a_request_the_container_refuses_is_a_model_error_with_its_words(
    endpoint: str, client: Clients, code_of: Any
) -> None:
    refused = code_of(client("sagemaker-runtime").invoke_endpoint, EndpointName=endpoint, Body=b"{}")

    assert refused.code == "ModelError"
    assert refused.message.startswith("Received client error (4")
    assert 400 <= refused.response["OriginalStatusCode"] < 500
    assert f":/aws/sagemaker/Endpoints/{endpoint}" in refused.response["LogStreamArn"]


def test_killing_the_process_fails_the_next_call(
    embedded_aws: EmbeddedAws, endpoint: str, client: Clients, code_of: Any
) -> None:
    (pid,) = embedded_aws.status().endpoints[endpoint]["pids"]

    os.kill(pid, signal.SIGKILL)

    failed = code_of(client("sagemaker-runtime").invoke_endpoint, EndpointName=endpoint, Body=_BODY)
    assert (failed.code, failed.response["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert "the container does not answer" in failed.message


def test_one_of_two_instances_killed_leaves_the_other_answering(
    embedded_aws: EmbeddedAws, client: Clients, configure: Any, settled: Any, invoke: Any, eventually: Any
) -> None:
    name = configure(InitialInstanceCount=2)
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    first, second = embedded_aws.status().endpoints[name]["pids"]
    assert first != second

    os.kill(first, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{first}"))

    assert all(invoke(name)["ResponseMetadata"]["HTTPStatusCode"] == 200 for _ in range(4))
    client("sagemaker").delete_endpoint(EndpointName=name)


def test_an_update_serves_without_a_gap_and_ends_the_old_process(
    embedded_aws: EmbeddedAws, endpoint: str, client: Clients, configure: Any, settled: Any, invoke: Any
) -> None:
    (old,) = embedded_aws.status().endpoints[endpoint]["pids"]
    config = configure()

    client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    while client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating":
        invoke(endpoint)

    assert settled(endpoint)["EndpointConfigName"] == config
    (new,) = embedded_aws.status().endpoints[endpoint]["pids"]
    assert new != old


def test_an_update_that_cannot_serve_leaves_the_old_one_in_service(
    embedded_aws: EmbeddedAws, endpoint: str, client: Clients, configure: Any, settled: Any, invoke: Any
) -> None:
    before = embedded_aws.status().endpoints[endpoint]["pids"]

    client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName=configure(uri="s3://models/source/"))

    described = settled(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", endpoint)
    assert "did not pass the ping health check" in described["FailureReason"]
    assert embedded_aws.status().endpoints[endpoint]["pids"] == before
    assert invoke(endpoint)


def test_serving_goes_on_when_the_artifact_is_deleted(
    client: Clients, artifact: str, configure: Any, settled: Any, invoke: Any
) -> None:
    s3 = client("s3")
    for item in s3.list_objects_v2(Bucket="models", Prefix="out/")["Contents"]:
        s3.copy_object(
            Bucket="models",
            Key=item["Key"].replace("out/", "short-lived/", 1),
            CopySource={"Bucket": "models", "Key": item["Key"]},
        )
    name = configure(uri="s3://models/short-lived/")
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    settled(name)
    for item in s3.list_objects_v2(Bucket="models", Prefix="short-lived/")["Contents"]:
        s3.delete_object(Bucket="models", Key=item["Key"])

    assert invoke(name)["Body"].read()
    client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"uri": "s3://models/nothing/"}, "Failed to download model data for production variant Main"),
        ({"image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-neuronx:1"}, "cannot run the image"),
    ],
)
def test_an_endpoint_that_cannot_be_brought_up_says_why(
    wrong: dict[str, str], reason: str, client: Clients, configure: Any, settled: Any
) -> None:
    name = configure(**wrong)
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)

    described = settled(name)

    assert described["EndpointStatus"] == "Failed"
    assert reason in described["FailureReason"]


def test_a_deleted_endpoint_is_gone_with_its_process(
    embedded_aws: EmbeddedAws, client: Clients, configure: Any, settled: Any, eventually: Any, code_of: Any
) -> None:
    name = configure()
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    settled(name)
    (pid,) = embedded_aws.status().endpoints[name]["pids"]

    client("sagemaker").delete_endpoint(EndpointName=name)

    eventually(lambda: name not in embedded_aws.status().endpoints)
    assert not os.path.exists(f"/proc/{pid}")
    missing = code_of(client("sagemaker").describe_endpoint, EndpointName=name)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
    assert (missing.code, missing.message) == ("ValidationException", f'Could not find endpoint "{arn}".')


def test_calling_an_endpoint_that_is_not_there_is_a_validation_error(client: Clients, code_of: Any) -> None:
    missing = code_of(client("sagemaker-runtime").invoke_endpoint, EndpointName="nobody", Body=b"{}")

    assert (missing.code, missing.message) == (
        "ValidationError",
        "Endpoint nobody of account 000000000000 not found.",
    )
