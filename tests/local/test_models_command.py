"""``neuron-cdk models`` against a platform that was deployed to the embedded AWS, with a real model compiled in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")
FILE = """\
name: small
environment: {account: "000000000000", region: us-east-1}
network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: endpoints-only}
models:
  magika:
    source: {s3: s3://neuron-cdk-models/magika/}
    task: file-type
    compile: {engine: onnxruntime, target: cpu, batch_sizes: [1]}
"""

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A deployment of one model, deployed."""
    path = tmp_path_factory.mktemp("models") / "small.yaml"
    path.write_text(FILE)
    state = path.parent / "state"
    words = [COMMAND, "local", "deploy", path, "--state", state, "--port", "0", "--requests", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    yield path
    EmbeddedAws(state).down(delete_state=True)


@pytest.fixture(scope="module")
def models(file: Path) -> Callable[..., Done]:
    """``neuron-cdk models`` with these words."""

    def run(*words: str) -> Done:
        place = ["--deployment", str(file), "--state", str(file.parent / "state")]
        whole = [COMMAND, "models", *words, *place]
        return subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture(scope="module")
def client(file: Path, clients_of: Any) -> Any:
    """boto3 clients of this platform's own AWS."""
    return clients_of(EmbeddedAws(file.parent / "state"))


def listed(models: Any) -> dict[str, Any]:
    (model,) = json.loads(models("list", "--json").stdout)
    return dict(model)


def test_a_list_has_what_the_deploy_compiled_and_checked(models: Any) -> None:
    (current,) = listed(models)["artifacts"]
    assert current["state"] == "ready"
    assert "golden" in current["verification"]["ran"]
    assert current["used_by"][0].endswith("Magika") or "magika" in current["used_by"][0]


def test_what_is_there_is_found_at_once(models: Any) -> None:
    done = models("compile", "magika", "--wait", "--json")

    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    assert (told["status"], told["cache"]) == ("ready", "hit")


def test_a_new_source_is_compiled_and_everybody_hears_of_it(models: Any, client: Any, told: Any) -> None:
    before = listed(models)["current"]
    received = told({"source": ["neuron-cdk.models"]})
    client("s3").put_object(Bucket="neuron-cdk-models", Key="magika/notes.txt", Body=b"another digest")
    done = models("compile", "magika", "--wait")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("magika: compiled in ")
    key = done.stdout.splitlines()[0].rpartition(" ")[2]
    assert key != before
    types = [event["detail-type"] for event in received() if event["detail"]["key"] == key]
    assert types == ["Neuron Artifact Missed", "Neuron Compile Started", "Neuron Artifact Ready"]
    found = client("cloudwatch").list_metrics(Namespace="NeuronCdk/Models", MetricName="CompileMinutes")["Metrics"]
    assert [] in [metric["Dimensions"] for metric in found]
    assert listed(models)["current"] == before  # a stack has it until it is deployed again


def test_a_model_that_cannot_be_compiled_is_1_and_says_why_and_where(models: Any, client: Any) -> None:
    s3 = client("s3")
    whole = s3.get_object(Bucket="neuron-cdk-models", Key="magika/model.onnx")["Body"].read()
    s3.put_object(Bucket="neuron-cdk-models", Key="magika/model.onnx", Body=b"this is no model")
    try:
        done = models("compile", "magika", "--wait")
    finally:
        s3.put_object(Bucket="neuron-cdk-models", Key="magika/model.onnx", Body=whole)

    assert done.returncode == 1
    assert done.stdout == ""
    assert "magika: failed: " in done.stderr
    assert "log: https://" in done.stderr


def test_nothing_in_use_is_removed_and_a_dry_run_says_so(models: Any) -> None:
    told = json.loads(models("gc", "--dry-run", "--json").stdout)
    assert told["problems"] == []
    assert {one["verdict"] for one in told["artifacts"]} == {"keep"}

    current = listed(models)["current"]
    assert models("gc").returncode == 0
    assert current in [one["key"] for one in listed(models)["artifacts"] if one["state"] == "ready"]
