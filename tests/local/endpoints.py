"""Endpoints of the embedded AWS: made, asked, loaded and made to go wrong."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws
from tests.local.account import IMAGE, ROLE

Clients = Callable[[str], Any]


@pytest.fixture(scope="session")
def endpoint_resources() -> Callable[..., dict[str, Any]]:
    """Model, configuration and endpoint for a template."""

    def make(artifact: str, **changes: Any) -> dict[str, Any]:
        source = {"S3Uri": artifact, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}} | changes
        variant = {
            "VariantName": "Main",
            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1,
            "ContainerStartupHealthCheckTimeoutInSeconds": 60,
        }
        config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
        return {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "ExecutionRoleArn": ROLE,
                    "PrimaryContainer": container,
                    "EnableNetworkIsolation": True,
                },
            },
            "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
            "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": config}},
        }

    return make


@pytest.fixture(scope="session")
def model_of(client: Clients, artifact: str) -> Callable[..., str]:
    """A SageMaker model that serves a compiled artifact; its name, which is new."""

    def make(uri: str | None = None, **container: Any) -> str:
        name = f"model-{uuid.uuid4().hex[:8]}"
        source = {"S3Uri": uri or artifact, "S3DataType": "S3Prefix", "CompressionType": "None"}
        primary = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}} | container
        client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=primary)
        return name

    return make


@pytest.fixture(scope="session")
def config_of(client: Clients, model_of: Callable[..., str]) -> Callable[..., str]:
    """An endpoint configuration of one variant ``Main`` with changes, or of ``variants``; its name, which is new."""

    def make(*, variants: list[dict[str, Any]] | None = None, more: dict[str, Any] | None = None, **main: Any) -> str:
        name = f"config-{uuid.uuid4().hex[:8]}"
        declared = [
            {"VariantName": "Main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1} | variant
            for variant in variants or [main]
        ]
        for variant in declared:
            variant.setdefault("ModelName", model_of())
            if "InstancePools" in variant:
                del variant["InstanceType"]
        client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=declared, **(more or {}))
        return name

    return make


@pytest.fixture(scope="session")
def settled(client: Clients, eventually: Callable[..., Any]) -> Callable[[str], dict[str, Any]]:
    """Wait until nothing is under way at an endpoint; its description."""

    def wait(name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            described: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=name)
            ended = described["EndpointStatus"] in ("InService", "Failed", "UpdateRollbackFailed")
            return described if ended else None

        described: dict[str, Any] = eventually(look)
        return described

    return wait


@pytest.fixture
def endpoint_of(
    client: Clients, settled: Callable[[str], dict[str, Any]], eventually: Callable[..., Any]
) -> Iterator[Callable[..., str]]:
    """An endpoint in service with a configuration, gone after the test; its name."""
    made: list[str] = []

    def make(config: str, *, status: str = "InService") -> str:
        name = f"endpoint-{uuid.uuid4().hex[:8]}"
        client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
        made.append(name)
        described = settled(name)
        assert described["EndpointStatus"] == status, described
        return name

    yield make
    for name in made:
        with suppress(ClientError):  # the test has deleted it
            settled(name)
            client("sagemaker").delete_endpoint(EndpointName=name)
    for name in made:
        eventually(lambda name=name: not client("sagemaker").list_endpoints(NameContains=name)["Endpoints"])


@pytest.fixture(scope="session")
def ask(client: Clients) -> Callable[..., dict[str, Any]]:
    """One request to an endpoint, that its model answers."""
    body = json.dumps({"inputs": {"bytes": [[104] * 2048]}})

    def call(name: str, **more: Any) -> dict[str, Any]:
        request = {"ContentType": "application/json", "Body": body} | more
        answer: dict[str, Any] = client("sagemaker-runtime").invoke_endpoint(EndpointName=name, **request)
        answer["Body"].read()
        return answer

    return call


@pytest.fixture
def under_load(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Ask an endpoint all the time from so many clients at once; ``done`` and ``lost`` count, ``stop`` ends it."""

    @contextmanager
    def load(name: str, *, clients: int = 2, pause: float = 0.02, **more: Any) -> Iterator[SimpleNamespace]:
        seen = SimpleNamespace(done=0, lost=[])
        ended = threading.Event()

        def go() -> None:
            while not ended.is_set():
                try:
                    ask(name, **more)
                    seen.done += 1
                except Exception as error:
                    seen.lost.append(str(error))
                time.sleep(pause)

        threads = [threading.Thread(target=go) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    return load


@pytest.fixture
def wrong(embedded_aws: EmbeddedAws) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make something go wrong with endpoints; nothing does after the test."""
    yield lambda **wanted: embedded_aws.control("endpoints", wanted)
    embedded_aws.control("endpoints", {"short": {}, "fail": {}, "fail_next": {}, "silent_rollback": []})
