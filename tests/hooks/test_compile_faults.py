"""Every hook of the compile path, and what starts releases, is throttled at each call it makes, and killed after each,
then called again with the same event; and is called twice. What is there then is what would be had nothing happened.

Those that CloudFormation calls itself are called again until they answer, and never after.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.hooks.disturbed import FAULTS, Faults, KilledError

Load = Callable[[str], ModuleType]
WHOLE, PARTS = "cd" * 32, ["01" * 32, "02" * 32]
RETIRING, WANTED, UNUSED, LEFT = (letter * 64 for letter in "abcd")
TARGET = "endpoint/embed"
DAY = 86400
# What says when or by which attempt, and so differs from one run to the next.
_TIMES = ("registered_at", "last_used", "users_since", "failed_at", "lease_expires", "retired_at")
JOB = {
    "ProcessingJobName": "job-0",
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large"}},
    "ProcessingStartTime": 1,
    "ProcessingEndTime": 3601,
}


class Case:
    """One hook with one event, in a world that is made anew for it."""

    def __init__(self, load: Load, aws: Any, model: dict[str, Any], request: dict[str, Any], wanted: Any) -> None:
        self._load, self.aws, self.model, self.request, self.wanted = load, aws, model, request, wanted

    def _artifact(self, key: str, attempt: str, **facts: Any) -> None:
        body = b"program"
        program = f"batch-{facts.pop('batch', 1)}.ort"
        file = {"path": program, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
        manifest = {"schema": 1, "artifact_key": key, "compile_seconds": 1, "files": [file], **facts}
        self.aws.put("artifacts", f"artifacts/{key}/{attempt}/{program}", body)
        self.aws.put("artifacts", f"artifacts/{key}/{attempt}/manifest.json", json.dumps(manifest).encode())

    def begin_lease(self) -> dict[str, Any]:
        self.aws.put("models", "minilm/model.pt", b"weights")
        return {"model": self.model, "execution": "e", "asked_at": 1}

    def begin_hit(self) -> dict[str, Any]:
        event = self.begin_lease()
        leased = self._load("compile.begin_compile").handler(event, None)
        self.aws.set(leased["key"], state="ready", attempt="a1", artifact_uri="s3://a/", compile_seconds=1, hits=0)
        return {**event, "execution": "other"}

    def register_artifact(self) -> dict[str, Any]:
        self._compiling()
        self._artifact(self.wanted["key"], "a1")
        return {"compile": self.wanted, "job": JOB, "plan": {"usd": 0}}

    def record_failure(self) -> dict[str, Any]:
        self._compiling()
        failed = {**JOB, "ProcessingJobStatus": "Failed", "FailureReason": "AlgorithmError", "ExitMessage": "no"}
        return {"compile": self.wanted, "error": {"Error": "States.TaskFailed", "Cause": json.dumps(failed)}}

    def try_again(self) -> dict[str, Any]:
        """The compiler was killed just now; the lease is renewed for a larger host."""
        self._compiling()
        lease = {"seconds": 10800, "start_within": 1800, "last_start": 9_999_999_999}
        ended = int(time.time())
        failed = {
            **JOB,
            "ProcessingJobStatus": "Failed",
            "FailureReason": "AlgorithmError: , exit code: 137",
            "ProcessingStartTime": ended - 3000,
            "ProcessingEndTime": ended,
        }
        error = {"Error": "States.TaskFailed", "Cause": json.dumps(failed)}
        plan = self._load("compile.tries").first([host["type"] for host in self.wanted["hosts"]])
        return {"compile": {**self.wanted, "lease": lease}, "error": error, "plan": plan}

    def join_parts(self) -> dict[str, Any]:
        told = []
        for batch, key in enumerate(PARTS, 1):
            programs = [{"file": f"batch-{batch}.ort", "batch_size": batch}]
            facts = {"engine": "e", "target": "cpu", "sdk": "1", "dtype": "fp32", "programs": programs}
            self._artifact(key, "p1", batch=batch, **facts, inputs=[], outputs=[])
            told.append({"key": key, "attempt": "p1", "batch_size": batch, "sequence_length": None})
        return {"compile": {**self.wanted, "key": WHOLE, "join": told}}

    def answer_cloudformation(self) -> dict[str, Any]:
        self.aws.set(WHOLE, state="ready", attempt="a1")
        ready = {"status": "ready", "key": WHOLE, "artifact_uri": "s3://a/", "sdk": "1", "compile_seconds": 1}
        return {"request": self.request, "model": self.model, "outcome": {**ready, "cache": "hit"}}

    def create(self) -> dict[str, Any]:
        return self.request

    def source_changed(self) -> dict[str, Any]:
        self.aws.set("model#minilm", document=json.dumps(self.model))
        seen = {"key": "minilm/model.pt", "size": 1, "etag": "e", "sequencer": "0065A1"}
        detail = {"bucket": {"name": "models"}, "object": seen}
        return {"model": "minilm", "event": {"source": "aws.s3", "time": "2026-12-28T12:00:10Z", "detail": detail}}

    def retire(self) -> dict[str, Any]:
        self._published(WHOLE)
        return {"task": "collect"}

    def keep_house(self) -> dict[str, Any]:
        """One is deleted, one restored, one retires, an upload of nobody's goes; an endpoint's log is looked at."""
        self._published(RETIRING, state="retiring", retired_at=1)
        self.aws.put("artifacts", f"requests/{RETIRING}/a1/request.json", b"{}")
        self._published(WANTED, state="retiring", retired_at=1)
        self.aws.set("release#endpoint/embed", document=json.dumps({"current": {"artifact_key": WANTED}}))
        self._published(UNUSED)
        self.aws.put("artifacts", f"artifacts/{LEFT}/a1/manifest.json", b"{}")
        self.aws.set("endpoint#embed", document=json.dumps({"endpoint": "embed"}))
        return {"task": "collect"}

    def _published(self, key: str, **fields: Any) -> None:
        long_ago = {"registered_at": 1, "last_used": 1, "users_since": 1, "compile_seconds": 1}
        ready = {"state": "ready", "attempt": "a1", "model": "minilm", "artifact_uri": "s3://a/"}
        self.aws.set(key, **{**ready, **long_ago, **fields})
        self._artifact(key, "a1")

    def copy(self) -> dict[str, Any]:
        return {**self.request, "ResourceProperties": {"Source": "public.ecr.aws/neuron/server:1.0", "Tag": "1.0"}}

    def deploy(self) -> dict[str, Any]:
        served = {"Declaration": "{}", "Model": "minilm", "ArtifactKey": WHOLE, "ArtifactUri": "s3://a/"}
        return {**self.request, "ResourceProperties": served}

    def take_away(self) -> dict[str, Any]:
        return {**self.deploy(), "RequestType": "Delete", "PhysicalResourceId": TARGET}

    def new_artifact(self) -> dict[str, Any]:
        told = {"model": "minilm", "key": WHOLE, "artifact_uri": "s3://a/", "trigger": "watch"}
        return {"source": "neuron-cdk.models", "id": "e1", "time": "2026-11-27T03:00:00Z", "detail": told}

    def died(self) -> dict[str, Any]:
        asked = json.dumps({"trigger": "deploy", "request": self.request, "deadline": 5})
        return {"source": "aws.states", "detail": {"name": "request-1", "status": "ABORTED", "input": asked}}

    def delete(self) -> dict[str, Any]:
        self._load("compile.answer_cloudformation").handler(self.answer_cloudformation(), None)
        return {**self.request, "RequestType": "Delete", "PhysicalResourceId": WHOLE}

    def _compiling(self) -> None:
        self.aws.set(self.wanted["key"], state="compiling", attempt="a1", lease_owner="r", lease_expires=9999999999)

    def state(self) -> dict[str, Any]:
        """All there is, but for times and for what an attempt that nobody published wrote."""
        items = {}
        for item in self.aws.dynamodb.scan(TableName="registry")["Items"]:
            key = item["artifact_key"]["S"]
            items[key] = {name: value for name, value in item.items() if name not in (*_TIMES, "attempt")}
        published = {self.aws.item(key).get("attempt") for key in items} | {"a1", "p1"}
        objects = {}
        for key in self.aws.keys("artifacts"):
            attempt = key.split("/")[2]
            if attempt in published:
                body = self.aws.s3.get_object(Bucket="artifacts", Key=key)["Body"].read().decode()
                objects[re.sub(rf"/{attempt}/", "/attempt/", key)] = body.replace(attempt, "attempt")
        return {"items": items, "objects": objects}


HOOKS = {
    "begin_lease": "compile.begin_compile",
    "begin_hit": "compile.begin_compile",
    "register_artifact": "compile.register_artifact",
    "record_failure": "compile.record_failure",
    "try_again": "compile.record_failure",
    "join_parts": "compile.join_parts",
    "answer_cloudformation": "compile.answer_cloudformation",
    "create": "compile.compiled_model",
    "delete": "compile.compiled_model",
    "copy": "compile.image_mirror",
    "source_changed": "compile.source_changed",
    "retire": "housekeeping.hook",
    "keep_house": "housekeeping.hook",
    "deploy": "release.start",
    "take_away": "release.start",
    "new_artifact": "release.start",
    "died": "release.start",
}
ASKED_BY_CLOUDFORMATION = ("compile.compiled_model", "compile.image_mirror", "release.start")
SETTINGS = {
    "QUIET_SECONDS": "90",
    "KEEP_DAYS": "30",
    "GRACE_SECONDS": "3600",
    "PROJECT": "mirror",
    "RELEASE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:release",
    "TARGET": TARGET,
    "MODEL": "minilm",
}


@pytest.fixture
def case(
    load: Load, aws: Any, model: dict[str, Any], request_event: dict[str, Any], compile_input: dict[str, Any]
) -> Case:
    return Case(load, aws, model, request_event, compile_input)


def empty(case: Case) -> None:
    for key in case.aws.keys("artifacts"):
        case.aws.s3.delete_object(Bucket="artifacts", Key=key)
    for item in case.aws.dynamodb.scan(TableName="registry")["Items"]:
        case.aws.dynamodb.delete_item(TableName="registry", Key={"artifact_key": item["artifact_key"]})


class Hook:
    """A hook and whoever calls it, in a world that is made anew for each run."""

    def __init__(self, name: str, case: Case, load: Load, monkeypatch: pytest.MonkeyPatch, inbox: Any) -> None:
        self.name, self.case, self.inbox = name, case, inbox
        self.faults = Faults(load, monkeypatch)
        self.module = load(HOOKS[name])
        if HOOKS[name] == "housekeeping.hook":  # moto dates objects by the real clock: two days later they are old
            monkeypatch.setattr(self.module, "time", SimpleNamespace(time=lambda: time.time() + 2 * DAY))

    def run(self, at: int = -1, kind: str = "") -> dict[str, Any]:
        """What is there in the end."""
        empty(self.case)
        self.faults.started.clear()
        event = getattr(self.case, self.name)()
        self.inbox.answers.clear()
        self.faults.count(at, kind)
        self._call(event, times=2 if kind == "called twice" else 1)
        if kind and not self._is_answered():
            self._call(event)  # a delivery that comes twice
        answers = {(one["Status"], one["PhysicalResourceId"]) for one in self.inbox.answers}
        return {**self.case.state(), "started": dict(self.faults.started), "answers": answers}

    def _call(self, event: dict[str, Any], times: int = 1) -> None:
        for _ in range(times):
            try:
                self.module.handler(event, None)
            except (KilledError, ClientError, RuntimeError):  # housekeeping does the rest, then says what it could not
                if not self._is_answered():
                    self.module.handler(event, None)

    def _is_answered(self) -> bool:
        return HOOKS[self.name] in ASKED_BY_CLOUDFORMATION and bool(self.inbox.answers)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.disturbs(handler)) for name, handler in HOOKS.items()]
)
def test_whatever_happens_and_is_called_again_ends_as_if_nothing_had(
    name: str, fault: str, case: Case, load: Load, monkeypatch: pytest.MonkeyPatch, inbox: Any, tell: Any
) -> None:
    for variable, value in SETTINGS.items():
        monkeypatch.setenv(variable, value)
    hook = Hook(name, case, load, monkeypatch, inbox)
    expected = hook.run()
    calls = hook.faults.seen
    assert calls > 0
    tell(name.replace("_", " "), calls, fault)
    for at in [-1] if fault == "called twice" else range(calls):
        assert hook.run(at, fault) == expected, f"{fault} at call {at} of {calls}"


def test_housekeeping_reaches_every_step_of_a_deletion(
    case: Case, load: Load, monkeypatch: pytest.MonkeyPatch, inbox: Any
) -> None:
    for variable, value in SETTINGS.items():
        monkeypatch.setenv(variable, value)
    ended = Hook("keep_house", case, load, monkeypatch, inbox).run()
    assert RETIRING not in ended["items"]
    assert ended["items"][WANTED]["state"] == {"S": "ready"}
    assert ended["items"][UNUSED]["state"] == {"S": "retiring"}
    assert not [path for path in ended["objects"] if RETIRING in path or LEFT in path]
