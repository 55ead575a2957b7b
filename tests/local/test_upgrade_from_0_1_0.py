"""The local deployment as 0.1.0 made it, brought to today's templates on the embedded AWS: nothing that holds anything
is replaced, and the endpoint answers before and after.

The endpoint itself is replaced, once: 0.1.0 let CloudFormation name it, and alarms and roles of today need a name that
is known before. CloudFormation makes the new one first; callers take its name from the stack's output.

What 0.1.0 was is in ``tests/upgrade/fixtures``: its templates, its Lambda code, its deployment file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from neuron_cdk import spec
from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import INPUT, OUTPUT, SOURCE, Sample
from stacks import build_app
from tests.local import cloud_assembly, rights

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / "tests" / "upgrade" / "fixtures" / "0.1.0"
ASSETS = "cdk-hnb659fds-assets-000000000000-us-east-1"
STACKS = ("Artifacts", "Network", "Pipeline", "Endpoint-filetype", "Fleet-pretrain", "Fleet-serve")
STATEFUL = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
}
SERVICE_TOKEN = "PipelineCompiledModelFunction9F52B13A"


class Deployment:
    """The stacks of the local deployment, of whichever version."""

    def __init__(self, aws: EmbeddedAws, folder: Path, eventually: Callable[..., Any]) -> None:
        self.aws, self._folder = aws, folder
        session = boto3.Session("test", "test", region_name="us-east-1")
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in made:
                made[service] = session.client(service, endpoint_url=aws.url)
            return made[service]

        self.client = client
        self.sample = Sample()
        self.stacks = {name: cloud_assembly.Stack(client, f"local-{name}", eventually) for name in STACKS}

    def old(self) -> dict[str, str]:
        """Deploy 0.1.0; how each stack ended."""
        cloud_assembly.prepare(self.client)
        bucket, _, prefix = SOURCE.removeprefix("s3://").partition("/")
        cloud_assembly.upload(self.client, bucket, f"{prefix}model.onnx", self.sample.model.read_bytes())
        cloud_assembly.upload(self.client, ASSETS, "0.1.0.zip", (OLD / "lambda.zip").read_bytes())
        ended = {}
        for name, stack in self.stacks.items():
            template = (OLD / "local" / f"local-{name}.template.json").read_text()
            ended[name] = stack.bring(template.replace("<asset>.zip", "0.1.0.zip"))
        return ended

    def today(self) -> dict[str, str]:
        """Deploy what the code makes of the same file; how each stack ended."""
        out = self._folder / "today"
        context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
        assembly = build_app(spec.load(OLD / "local.yaml").deployment, outdir=str(out), context=context).synth()
        assert {stack.stack_name for stack in assembly.stacks} == {stack.name for stack in self.stacks.values()}
        cloud_assembly.publish(self.client, out)
        return {
            name: stack.bring((out / f"{stack.name}.template.json").read_text()) for name, stack in self.stacks.items()
        }

    def stateful(self) -> dict[str, str]:
        """Physical ids of what holds data, or is a place that others remember."""
        return {
            f"{name}/{logical}": physical
            for name, stack in self.stacks.items()
            for logical, (kind, physical) in stack.physical_ids().items()
            if kind in STATEFUL or logical == SERVICE_TOKEN
        }

    def label(self, content: bytes) -> str:
        """What the endpoint says of a file."""
        name = self.stacks["Endpoint-filetype"].outputs()["EndpointName"]
        body = {"inputs": {INPUT: [self.sample.features(content)]}}
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=json.dumps(body)
        )
        return self.sample.label(json.loads(answer["Body"].read())["outputs"][OUTPUT][0])

    def failures(self) -> str:
        return "\n".join(
            f"{name}: {stack.failures()}" for name, stack in self.stacks.items() if stack.failures() != "[]"
        )


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("upgrade")
    aws = EmbeddedAws(folder / "state", port=0)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(rights.REPORTS)  # what 0.1.0 granted is no longer ours to explain
        aws.up()
    try:
        yield Deployment(aws, folder, eventually)
    finally:
        aws.down(delete_state=True)


@pytest.fixture(scope="module")
def before(deployment: Deployment) -> dict[str, str]:
    ended = deployment.old()
    assert set(ended.values()) == {"CREATE_COMPLETE"}, deployment.failures()
    return deployment.stateful()


@pytest.fixture(scope="module")
def said_before(deployment: Deployment, before: dict[str, str]) -> str:
    return deployment.label(Path(__file__).read_bytes())


@pytest.fixture(scope="module")
def upgraded(deployment: Deployment, said_before: str) -> dict[str, str]:
    return deployment.today()


def test_what_0_1_0_deployed_serves(said_before: str) -> None:
    assert said_before == "python"


def test_todays_templates_are_deployed_over_it(deployment: Deployment, upgraded: dict[str, str]) -> None:
    assert set(upgraded.values()) == {"UPDATE_COMPLETE"}, deployment.failures()


def test_nothing_that_holds_anything_is_replaced(
    deployment: Deployment, before: dict[str, str], upgraded: dict[str, str]
) -> None:
    after = deployment.stateful()
    assert {name: after.get(name) for name in before} == before
    assert len(before) >= len(STATEFUL)


def test_one_endpoint_is_left(deployment: Deployment, upgraded: dict[str, str]) -> None:
    (left,) = deployment.client("sagemaker").list_endpoints()["Endpoints"]
    assert left["EndpointName"] == deployment.stacks["Endpoint-filetype"].outputs()["EndpointName"]


def test_the_endpoint_serves_after_it(deployment: Deployment, upgraded: dict[str, str]) -> None:
    assert deployment.label(Path(__file__).read_bytes()) == "python"
