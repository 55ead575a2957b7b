"""Every hook of the compile path is killed after each call it makes, and refused at each, then called again with the
same event: what is in the registry and the bucket then is what would be there had nothing happened.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

Load = Callable[[str], ModuleType]
WHOLE, PARTS = "cd" * 32, ["01" * 32, "02" * 32]
# What says when or by which attempt, and so differs from one run to the next.
_TIMES = ("registered_at", "last_used", "users_since", "failed_at", "lease_expires", "retired_at")
JOB = {
    "ProcessingJobName": "job-0",
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large"}},
    "ProcessingStartTime": 1,
    "ProcessingEndTime": 3601,
}


class KilledError(BaseException):
    """The function's process is gone; no handler of ours sees it."""


class Case:
    """One hook with one event, in a world that is made anew for it."""

    def __init__(self, load: Load, aws: Any, model: dict[str, Any], request: dict[str, Any], wanted: Any) -> None:
        self._load, self.aws, self.model, self.request, self.wanted = load, aws, model, request, wanted
        self.executions: dict[str, str] = {}

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
        leased = self._load("begin_compile").handler(event, None)
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

    def compiled_model_create(self) -> dict[str, Any]:
        return self.request

    def source_changed(self) -> dict[str, Any]:
        self.aws.set("model#minilm", document=json.dumps(self.model))
        seen = {"key": "minilm/model.pt", "size": 1, "etag": "e", "sequencer": "0065A1"}
        detail = {"bucket": {"name": "models"}, "object": seen}
        return {"model": "minilm", "event": {"source": "aws.s3", "time": "2026-12-28T12:00:10Z", "detail": detail}}

    def housekeeping(self) -> dict[str, Any]:
        long_ago = {"registered_at": 1, "last_used": 1, "users_since": 1, "compile_seconds": 1}
        self.aws.set(WHOLE, state="ready", attempt="a1", model="minilm", artifact_uri="s3://a/", **long_ago)
        self._artifact(WHOLE, "a1")
        return {"task": "collect"}

    def compiled_model_delete(self) -> dict[str, Any]:
        self._load("answer_cloudformation").handler(self.answer_cloudformation(), None)
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
        return {"items": items, "objects": objects, "executions": self.executions}


HOOKS = {
    "begin_lease": "begin_compile",
    "begin_hit": "begin_compile",
    "register_artifact": "register_artifact",
    "record_failure": "record_failure",
    "join_parts": "join_parts",
    "answer_cloudformation": "answer_cloudformation",
    "compiled_model_create": "compiled_model",
    "compiled_model_delete": "compiled_model",
    "source_changed": "source_changed",
    "housekeeping": "housekeeping",
}


@pytest.fixture
def case(
    load: Load, aws: Any, model: dict[str, Any], request_event: dict[str, Any], compile_input: dict[str, Any]
) -> Case:
    return Case(load, aws, model, request_event, compile_input)


def empty(case: Case) -> None:
    case.executions.clear()
    for key in case.aws.keys("artifacts"):
        case.aws.s3.delete_object(Bucket="artifacts", Key=key)
    for item in case.aws.dynamodb.scan(TableName="registry")["Items"]:
        case.aws.dynamodb.delete_item(TableName="registry", Key={"artifact_key": item["artifact_key"]})


class Faults:
    """Counts the calls of the hooks' own clients, and does something about one of them."""

    def __init__(self, load: Load, monkeypatch: pytest.MonkeyPatch, executions: dict[str, str]) -> None:
        self.seen, self.at, self.kind = 0, -1, ""
        module = load("aws")
        make = module.client

        def client(*arguments: Any) -> Any:
            made = make(*arguments)
            if not getattr(made, "_watched", False):
                made._watched = True
                if arguments[0] == "stepfunctions":
                    made._make_api_call = partial(_start, executions)
                self._watch(made)
            return made

        monkeypatch.setattr(module, "client", client)
        monkeypatch.setattr(time, "sleep", lambda _: None)

    def _watch(self, made: Any) -> None:
        call = made._make_api_call

        def counted(operation: str, arguments: dict[str, Any]) -> Any:
            number, self.seen = self.seen, self.seen + 1
            if number == self.at and self.kind == "throttled":
                raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)
            answer = call(operation, arguments)
            if number == self.at and self.kind == "killed":
                raise KilledError
            return answer

        made._make_api_call = counted


def _start(executions: dict[str, str], operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """StartExecution: a name is taken once."""
    if arguments["name"] in executions:
        raise ClientError({"Error": {"Code": "ExecutionAlreadyExists", "Message": "taken"}}, operation)
    executions[arguments["name"]] = arguments["stateMachineArn"]
    return {"executionArn": arguments["name"]}


@pytest.mark.parametrize("name", HOOKS)
def test_whatever_happens_and_is_called_again_ends_as_if_nothing_had(
    name: str, case: Case, load: Load, monkeypatch: pytest.MonkeyPatch, inbox: Any, tell: Any
) -> None:
    monkeypatch.setenv("QUIET_SECONDS", "90")
    monkeypatch.setenv("POLL_SECONDS", "15")
    monkeypatch.setenv("KEEP_DAYS", "30")
    monkeypatch.setenv("GRACE_SECONDS", "3600")
    faults = Faults(load, monkeypatch, case.executions)
    hook = load(HOOKS[name])

    def undisturbed() -> dict[str, Any]:
        empty(case)
        event = getattr(case, name)()
        faults.at, faults.seen = -1, 0
        hook.handler(event, None)
        return case.state()

    expected = undisturbed()
    calls = faults.seen
    assert calls > 0
    tell(f"{HOOKS[name]}: {name.replace('_', ' ')}", calls, "killed after, throttled")
    for kind, at in itertools.product(("killed", "throttled"), range(calls)):
        empty(case)
        inbox.answers.clear()
        event = getattr(case, name)()
        faults.at, faults.kind, faults.seen = at, kind, 0
        try:
            hook.handler(event, None)
        except (
            KilledError,
            ClientError,
            RuntimeError,
        ):  # housekeeping does the rest first, then says what it could not
            faults.at = -1
            hook.handler(event, None)
        faults.at = -1
        hook.handler(event, None)  # and once more, as a delivery that comes twice does
        # A Delete that cannot be written succeeds and leaves its user behind: asked for again, it takes it out.
        assert case.state() == expected, f"{kind} at call {at} of {calls}"
        if inbox.answers:
            assert {answer["Status"] for answer in inbox.answers} == {"SUCCESS"}
