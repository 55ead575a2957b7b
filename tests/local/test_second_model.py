"""Two real models of different kinds in one deployment on the embedded AWS: each is compiled, verified and served, and
answers as its original does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import INPUT, OUTPUT, Sample
from tests import speech

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")
FILE = """
name: two
environment: {account: "000000000000", region: us-east-1}
network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: endpoints-only}
models:
  magika:
    source: {s3: s3://neuron-cdk-models/magika/}
    task: file-type
    compile: {engine: onnxruntime, target: cpu, batch_sizes: [1, 8]}
  speech:
    source: {s3: s3://neuron-cdk-models/speech/}
    task: voice-activity-detection
    compile: {engine: onnxruntime, target: cpu, batch_sizes: [1, 4], sequence_lengths: [576]}
endpoints:
  filetype: {model: magika, instance_types: [ml.m5.large], size: {min: 1, max: 1}}
  voice: {model: speech, instance_types: [ml.m5.large], size: {min: 1, max: 1}}
"""


class Deployed:
    """The embedded AWS after the deploy, and what the command reported."""

    def __init__(self, state: Path, clients_of: Callable[..., Any]) -> None:
        self.state = state
        self.aws = EmbeddedAws(state, port=0)
        self.aws.up()
        self.client = clients_of(self.aws)
        s3 = self.client("s3")
        s3.create_bucket(Bucket="neuron-cdk-models")
        for name, content in {"model.onnx": speech.model().read_bytes(), "golden.json": speech.golden()}.items():
            s3.put_object(Bucket="neuron-cdk-models", Key=f"speech/{name}", Body=content, ChecksumAlgorithm="SHA256")

    def deploy(self) -> dict[str, Any]:
        file = self.state / "two.yaml"
        file.write_text(FILE)
        words = ["--state", self.state, "--port", "0", "--requests", "4", "--json"]
        done = subprocess.run(
            [COMMAND, "local", "deploy", file, *words], cwd=ROOT, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def ask(self, endpoint: str, inputs: dict[str, Any]) -> dict[str, Any]:
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=json.dumps({"inputs": inputs})
        )
        outputs: dict[str, Any] = json.loads(answer["Body"].read())["outputs"]
        return outputs

    def manifest(self, uri: str) -> dict[str, Any]:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        body = self.client("s3").get_object(Bucket=bucket, Key=f"{prefix}manifest.json")["Body"].read()
        document: dict[str, Any] = json.loads(body)
        return document

    def decisions(self, name: str) -> list[dict[str, Any]]:
        """Lines with this decision, from the logs of every hook."""
        logs = self.client("logs")
        lines = [
            event["message"]
            for group in logs.describe_log_groups()["logGroups"]
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
            if f'"{name}"' in event["message"]
        ]
        return [json.loads(line[line.index("{") :]) for line in lines]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, clients_of: Callable[..., Any]) -> Iterator[Deployed]:
    made = Deployed(tmp_path_factory.mktemp("two"), clients_of)
    yield made
    made.aws.down(delete_state=True)


@pytest.fixture(scope="module")
def report(deployed: Deployed) -> dict[str, Any]:
    return deployed.deploy()


def test_each_was_asked_its_examples_by_the_job(report: dict[str, Any], deployed: Deployed) -> None:
    for name, model in report["models"].items():
        verification = deployed.manifest(model["artifact_uri"])["verification"]
        assert verification["ran"] == ["files", "loads", "golden"], name
        assert verification["left"] == [], name


def test_each_was_asked_its_examples_in_service(report: dict[str, Any], deployed: Deployed) -> None:
    asked = deployed.decisions("golden example")
    for name, endpoint in report["endpoints"].items():
        lines = [line for line in asked if line["key"] == endpoint["endpoint_name"]]
        assert len(lines) >= 2, name
        assert all(line["problem"] == "" for line in lines), lines


def test_file_types_are_told_as_the_original_does(report: dict[str, Any], deployed: Deployed) -> None:
    sample = Sample()
    rows = [sample.features(content) for content in (b"import json\n" * 40, b"<html><body></body></html>" * 20)]
    answer = deployed.ask(report["endpoints"]["filetype"]["endpoint_name"], {INPUT: rows})
    np.testing.assert_allclose(answer[OUTPUT], sample.original(rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 6])
def test_speech_is_heard_as_the_original_does(report: dict[str, Any], deployed: Deployed, rows: int) -> None:
    inputs = speech.request(*[speech.windows(speech.voice())[1] * (1 - row / 10) for row in range(rows)])
    answer = deployed.ask(report["endpoints"]["voice"]["endpoint_name"], inputs)
    for name, expected in speech.original(inputs).items():
        np.testing.assert_allclose(answer[name], expected, rtol=1e-4, atol=1e-6)
