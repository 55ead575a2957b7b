"""``neuron-cdk models`` against a platform that was deployed to the embedded AWS, with a real model compiled in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.catalog import prices
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


def test_what_a_compile_cost_is_its_jobs_time_at_its_hosts_price(models: Any, client: Any) -> None:
    (current,) = listed(models)["artifacts"]
    job = client("sagemaker").describe_processing_job(ProcessingJobName=current["job_name"])
    hours = (job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds() / 3600
    price = prices.processing_hourly("us-east-1", current["host"])
    assert price is not None
    assert current["usd"] > 0
    assert current["usd"] == pytest.approx(hours * price.usd, abs=2e-6)  # kept to a millionth


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


def test_what_nobody_uses_retires_and_goes_with_its_objects(models: Any, client: Any) -> None:
    """By the real function under its own role; days and the hour pass in the registry, not by the clock."""
    stacks = client("cloudformation").describe_stacks(StackName="small-Artifacts")["Stacks"][0]["Outputs"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks}
    table, bucket = outputs["RegistryTable"], outputs["ArtifactBucket"]
    told = listed(models)
    (unused,) = [one for one in told["artifacts"] if one["state"] == "ready" and one["key"] != told["current"]]
    name = {"artifact_key": {"S": unused["key"]}}
    # An endpoint whose log is looked through: it has none yet.
    record = {"S": json.dumps({"endpoint": "small-embed"})}
    client("dynamodb").put_item(TableName=table, Item={"artifact_key": {"S": "endpoint#embed"}, "document": record})

    def age(field: str) -> None:
        """31 days ago."""
        now = int(client("dynamodb").get_item(TableName=table, Key=name)["Item"][field]["N"])
        client("dynamodb").update_item(
            TableName=table,
            Key=name,
            UpdateExpression="SET #field = :then, registered_at = :then",
            ExpressionAttributeNames={"#field": field},
            ExpressionAttributeValues={":then": {"N": str(now - 31 * 86400)}},
        )

    def verdict() -> str:
        done = models("gc", "--json")
        assert done.returncode == 0, done.stdout
        found = {one["key"]: one["verdict"] for one in json.loads(done.stdout)["artifacts"]}
        assert found[told["current"]] == "keep"
        return str(found[unused["key"]])

    def objects() -> list[str]:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [one["Key"] for page in pages for one in page.get("Contents", ()) if unused["key"] in one["Key"]]

    assert objects()
    age("last_used")
    assert verdict() == "retire"
    assert verdict() == "wait"
    age("retired_at")
    assert verdict() == "delete"
    assert objects() == []
    assert unused["key"] not in [one["key"] for one in listed(models)["artifacts"]]
