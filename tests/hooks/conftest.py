"""A hook is loaded as Lambda loads it: its module imported afresh, with its environment, against moto's AWS."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.hooks import told_events
from tests.hooks.controlled_fleet import Fleet
from tests.hooks.endpoint_world import Deployment
from tests.hooks.fleet_aws import FakeAws

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "REQUEST_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:request",
    "DEADLINE_SECONDS": "3300",
    "POLL_SECONDS": "15",
    "REGISTRY_TABLE": "registry",
    "ARTIFACT_BUCKET": "artifacts",
    "JOB_ROLE_ARN": "arn:aws:iam::123456789012:role/job",
    "KEY_ARN": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    "SUBNETS": "subnet-0a,subnet-0b",
    "SECURITY_GROUPS": "sg-0a",
    "JOBS_CODE_URI": "s3://assets/0123.zip",
    "LEASE_SECONDS": "600",
}

KEY = "ab" * 32


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "disturbs(handler): a fault at each call of this module's handler, one at a time"
    )


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def load(environment: None) -> Iterator[Callable[[str], ModuleType]]:
    """Import a module of ``neuron_hooks`` as a cold start does."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "neuron_hooks"]:
            del sys.modules[name]

    problems: list[str] = []

    def cold(name: str) -> ModuleType:
        module = importlib.import_module(f"neuron_hooks.{name}")
        if telling := sys.modules.get("neuron_hooks.model_events"):
            told_events.watch(telling, problems)
        return module

    forget()
    yield cold
    forget()
    assert not problems  # an event that was told is not as documented


class Aws:
    """moto's S3 and DynamoDB, with the bucket of a model, the bucket of artifacts and the registry."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.dynamodb = boto3.client("dynamodb")
        for bucket in ("models", "artifacts", "assets"):
            self.s3.create_bucket(Bucket=bucket)
        self.dynamodb.create_table(
            TableName="registry",
            KeySchema=[{"AttributeName": "artifact_key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "artifact_key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, bucket: str, key: str, body: bytes, **more: Any) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body, **more)

    def item(self, key: str) -> dict[str, Any]:
        """The registry's item without DynamoDB's type marks."""
        found = self.dynamodb.get_item(TableName="registry", Key={"artifact_key": {"S": key}}).get("Item", {})
        return {name: next(iter(value.values())) for name, value in found.items()}

    def set(self, key: str, **fields: str | int) -> None:
        item = {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in fields.items()}
        self.dynamodb.put_item(TableName="registry", Item={"artifact_key": {"S": key}, **item})

    def keys(self, bucket: str) -> list[str]:
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture
def aws(environment: None) -> Iterator[Aws]:
    with mock_aws():
        yield Aws()


@pytest.fixture
def model() -> dict[str, Any]:
    """``ResourceProperties.Model`` as CloudFormation delivers it: every scalar a string."""
    return {
        "Name": "minilm",
        "Source": {"Kind": "s3", "Bucket": "models", "Prefix": "minilm/"},
        "Task": "feature-extraction",
        "Engine": "torch-neuronx",
        "Target": "inf2",
        "Sdk": "2.31.1",
        "Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-neuronx:2.9.0-neuronx-py312",
        "ImageDigest": "",
        "Dtype": "bf16",
        "BatchSizes": ["4", "1"],
        "SequenceLengths": ["128"],
        "TensorParallel": "1",
        "CompilerArgs": ["-O2"],
        "TimeoutMinutes": "120",
        "Hosts": [{"Type": "ml.m5.2xlarge", "UsdPerHour": "0.46"}, {"Type": "ml.m6i.2xlarge", "UsdPerHour": ""}],
        "VolumeSizeGb": "100",
    }


@pytest.fixture
def compile_input() -> dict[str, Any]:
    """What the compile machine was started with, as far as its hooks read it."""
    return {
        "key": KEY,
        "attempt": "a1",
        "model": "minilm",
        "execution_name": f"{KEY[:32]}-a1",
        "trigger": "deploy",
        "engine": "torch-neuronx",
        "target": "inf2",
        "sdk": "2.31.1",
        "hosts": [{"type": "ml.m5.large", "usd_per_hour": 0.115}, {"type": "ml.m5.xlarge"}],
        "start_by": 9_999_999_999,
    }


class Inbox:
    """The address CloudFormation waits at: keeps what is PUT there, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.content_types: list[str | None] = []
        self.failures: list[int] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if inbox.failures:
                    self.send_error(inbox.failures.pop(0))
                    return
                inbox.bodies.append(body)
                inbox.answers.append(json.loads(body))
                inbox.content_types.append(self.headers.get("Content-Type"))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/answer?signature=secret"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


@pytest.fixture
def request_event(inbox: Inbox, model: dict[str, Any]) -> dict[str, Any]:
    """A Create request, whole."""
    return {
        "RequestType": "Create",
        "RequestId": "0f7a3c1e-1111-2222-3333-444455556666",
        "ResponseURL": inbox.url,
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/models/guid",
        "LogicalResourceId": "Minilm",
        "ResourceType": "Custom::NeuronCompiledModel",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:f", "Model": model},
    }


@pytest.fixture
def decisions(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The structured lines logged since the last call."""

    def read() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line for line in lines if "decision" in line]  # the others are metrics

    return read


@pytest.fixture
def fleet(
    load: Callable[[str], ModuleType],
    aws: Any,
    inbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Fleet:
    one = Fleet(load, FakeAws("g-spot", "g-od"), aws, inbox, capsys)
    one.start(monkeypatch)
    return one


@pytest.fixture
def stack(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A stack with an endpoint, and CloudFormation that deploys it; the endpoints' releases have another one."""
    return Deployment(load, monkeypatch)


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Callable[[str, int, str], None]]:
    """Say what was disturbed, at how many calls and how: ``make bench`` makes a table of it.

    Whose calls they are says the mark ``disturbs`` of the test.
    """
    record_property("handler", request.node.get_closest_marker("disturbs").args[0])
    told = []

    def write(what: str, calls: int, faults: str) -> None:
        told.append(what)
        for name, value in {"what": what, "calls": calls, "faults": faults}.items():
            record_property(name, value)

    yield write
    assert len(told) == 1, "a test that disturbs a hook is one cell of the table"
