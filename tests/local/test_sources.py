"""Models from a hub that wants a token, and from a watched prefix: deployed, mirrored, compiled, compiled again.

The hub is a small one on this machine; everything else is what runs on AWS.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import model_folder
from tests.jobs.small_hub import REPOSITORY, REVISION, SmallHub

COMMAND = Path(sys.executable).with_name("neuron-cdk")
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
BUCKET = "uploads"
FILE = """
name: sources
environment: {{account: "000000000000", region: us-east-1}}
network: {{cidr: 10.40.0.0/16, availability_zones: 1, egress: nat}}
models:
  hub:
    source: {{huggingface: {repository}, revision: {revision}, token: "{secret}"}}
    task: file-type
    compile: {{engine: onnxruntime, target: cpu, batch_sizes: [1]}}
  watched:
    source: {{s3: s3://{bucket}/watched/, watch: true}}
    task: file-type
    compile: {{engine: onnxruntime, target: cpu, batch_sizes: [1]}}
"""

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def hub() -> Iterator[SmallHub]:
    files = {"config.json": b"{}", "model.onnx": (model_folder() / "model.onnx").read_bytes(), "pickled.bin": b"x"}
    with SmallHub(files, token=TOKEN).running() as running:
        yield running


@pytest.fixture(scope="module")
def aws(hub: SmallHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    made = EmbeddedAws(tmp_path_factory.mktemp("sources"), port=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.address)
        made.up()
    yield made
    made.down(delete_state=True)


@pytest.fixture(scope="module")
def client(aws: EmbeddedAws, clients_of: Callable[[EmbeddedAws], Clients]) -> Clients:
    return clients_of(aws)


@pytest.fixture(scope="module")
def deployed(aws: EmbeddedAws, client: Clients, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of ``neuron-cdk local deploy``."""
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}})
    s3.put_object(Bucket=BUCKET, Key="watched/model.onnx", Body=(model_folder() / "model.onnx").read_bytes())
    secret = client("secretsmanager").create_secret(Name="huggingface", SecretString=TOKEN)["ARN"]
    file = tmp_path_factory.mktemp("file") / "sources.yaml"
    file.write_text(FILE.format(repository=REPOSITORY, revision=REVISION, secret=secret, bucket=BUCKET))
    words = ["local", "deploy", file, "--state", aws.state_dir, "--port", "0", "--json"]
    run = subprocess.run(
        [COMMAND, *words], cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    return report


@pytest.fixture(scope="module")
def items(client: Clients, deployed: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
    """The registry's items, without DynamoDB's type marks."""
    (table,) = [name for name in client("dynamodb").list_tables()["TableNames"] if "Registry" in name]

    def scan() -> list[dict[str, Any]]:
        found = client("dynamodb").scan(TableName=table)["Items"]
        return [{name: next(iter(value.values())) for name, value in item.items()} for item in found]

    return scan


def ready(items: list[dict[str, Any]], model: str, engine: str = "onnxruntime") -> list[dict[str, Any]]:
    wanted = {"model": model, "engine": engine, "state": "ready"}
    return [item for item in items if wanted.items() <= item.items()]


def mirrored(client: Clients, items: list[dict[str, Any]]) -> tuple[str, str]:
    (mirror,) = ready(items, "hub", "mirror")
    bucket, _, prefix = mirror["artifact_uri"].removeprefix("s3://").partition("/")
    return bucket, prefix


def test_a_repository_is_mirrored_once_and_compiled_from_the_mirror(
    deployed: dict[str, Any], items: Callable[[], list[dict[str, Any]]], hub: SmallHub
) -> None:
    assert deployed["models"]["hub"]["cache"] == "miss"
    assert len(ready(items(), "hub", "mirror")) == 1
    assert len(ready(items(), "hub")) == 1
    assert len([path for path in hub.paths() if path.endswith("/config.json")]) == 1


def test_the_mirror_holds_what_was_taken_and_says_where_from(
    client: Clients, items: Callable[[], list[dict[str, Any]]]
) -> None:
    bucket, prefix = mirrored(client, items())
    manifest = json.loads(client("s3").get_object(Bucket=bucket, Key=f"{prefix}manifest.json")["Body"].read())
    assert (manifest["source"]["repository"], manifest["source"]["revision"]) == (REPOSITORY, REVISION)
    assert {file["path"] for file in manifest["files"]} == {
        "compile.log",
        "repository/config.json",
        "repository/model.onnx",
    }


def test_the_token_is_in_no_object_log_or_registry_item(
    client: Clients, items: Callable[[], list[dict[str, Any]]], hub: SmallHub
) -> None:
    assert f"Bearer {TOKEN}" in [headers.get("Authorization") for _, _, headers in hub.requests]
    written = [json.dumps(items(), default=str)]
    for bucket in client("s3").list_buckets()["Buckets"]:
        for found in client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
            if found["Key"].endswith((".json", ".log")):
                body = client("s3").get_object(Bucket=bucket["Name"], Key=found["Key"])["Body"].read()
                written.append(body.decode(errors="replace"))
    for group in client("logs").describe_log_groups()["logGroups"]:
        events = client("logs").filter_log_events(logGroupName=group["logGroupName"])["events"]
        written += [event["message"] for event in events]
    assert not [text for text in written if TOKEN in text]


def test_an_upload_that_is_whole_is_compiled_without_a_deploy(
    client: Clients, items: Callable[[], list[dict[str, Any]]], eventually: Any
) -> None:
    (before,) = ready(items(), "watched")
    client("s3").put_object(Bucket=BUCKET, Key="watched/notes.txt", Body=b"another version")
    client("s3").put_object(Bucket=BUCKET, Key="watched/_READY", Body=b"")
    after = eventually(lambda: [item for item in ready(items(), "watched") if item != before], within=120)
    assert len({item["artifact_key"] for item in [before, *after]}) == 2
