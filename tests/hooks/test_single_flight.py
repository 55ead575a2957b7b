"""A hundred requests at once start one compile an artifact, every one is answered, and nobody waits for the dead.

The hooks run as the two machines call them, in threads, against moto's S3 and DynamoDB. A write of DynamoDB is checked
and made as one, which moto's is not when threads call it: calls to it go one at a time here, in any order. What the
machines do in between the hooks is a few lines here; their definitions are tested elsewhere.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
KEYS, ASKERS = 10, 10


class World:
    """Requests and compiles, with as much of the machines as the hooks see."""

    def __init__(self, load: Load, aws: Any, model: dict[str, Any]) -> None:
        self.aws, self._model = aws, model
        self.begin, self.register = load("compile.begin_compile").handler, load("compile.register_artifact").handler
        self.fail, self.answer = load("compile.record_failure").handler, load("compile.answer_cloudformation")
        self.jobs: Counter[str] = Counter()
        self.answered: dict[str, dict[str, Any]] = {}
        self._started: set[str] = set()
        self._lock = threading.Lock()
        self._compiles: list[threading.Thread] = []

    def model(self, number: int) -> dict[str, Any]:
        return {**self._model, "Name": f"model-{number}", "BatchSizes": [str(number + 1)]}

    def request(self, name: str, model: dict[str, Any], work: Callable[[dict[str, Any]], None] | None = None) -> None:
        """The request machine."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            begun = self.begin({"model": model, "execution": name, "asked_at": int(time.time())}, None)
            if begun["status"] == "ready":
                self._done(name, begun)
                return
            if begun["status"] == "leased":
                self._start(begun["compile"], work or self.compile)
            while time.monotonic() < deadline:
                time.sleep(0.05)
                item = self.aws.item(begun["key"])
                if item.get("state") in ("ready", "failed"):
                    self._done(name, {**begun, **item, "status": item["state"]})
                    return
                if float(item.get("lease_expires", 0)) < time.time():
                    break

    def _start(self, wanted: dict[str, Any], work: Callable[[dict[str, Any]], None]) -> None:
        """An execution of a name is started once, as Step Functions has it."""
        with self._lock:
            if wanted["execution_name"] in self._started:
                return
            self._started.add(wanted["execution_name"])
            compile = threading.Thread(target=work, args=(wanted,))
            self._compiles.append(compile)
        compile.start()

    def compile(self, wanted: dict[str, Any]) -> None:
        """The compile machine, with a job that writes one file."""
        with self._lock:
            self.jobs[wanted["key"]] += 1
        prefix = f"artifacts/{wanted['key']}/{wanted['attempt']}/"
        body = wanted["attempt"].encode()
        file = {"path": "program", "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
        self.aws.put("artifacts", f"{prefix}program", body)
        manifest = {"schema": 1, "artifact_key": wanted["key"], "compile_seconds": 1, "files": [file]}
        self.aws.put("artifacts", f"{prefix}manifest.json", json.dumps(manifest).encode())
        self.register({"compile": wanted, "job": {"ProcessingJobName": "j"}, "plan": wanted["plan"]}, None)

    def _done(self, name: str, outcome: dict[str, Any]) -> None:
        with self._lock:
            assert name not in self.answered
            self.answered[name] = outcome

    def join(self) -> None:
        for compile in self._compiles:
            compile.join()


def one_at_a_time(*clients: Any) -> None:
    lock = threading.Lock()

    def alone(call: Callable[..., Any], *arguments: Any) -> Any:
        with lock:
            return call(*arguments)

    for client in clients:
        client._make_api_call = functools.partial(alone, client._make_api_call)


@pytest.fixture
def world(load: Load, aws: Any, model: dict[str, Any]) -> Iterator[World]:
    aws.put("models", "minilm/model.pt", b"weights")
    one_at_a_time(load("aws").client("dynamodb"), aws.dynamodb)
    made = World(load, aws, model)
    yield made
    made.join()


def test_a_hundred_requests_for_ten_artifacts_run_ten_jobs_and_all_are_answered(world: World) -> None:
    with ThreadPoolExecutor(KEYS * ASKERS) as pool:
        asked = [
            pool.submit(world.request, f"request-{number}-{asker}", world.model(number))
            for asker in range(ASKERS)
            for number in range(KEYS)
        ]
        for one in asked:
            one.result()
    assert len(world.answered) == KEYS * ASKERS
    assert {outcome["status"] for outcome in world.answered.values()} == {"ready"}
    assert sorted(world.jobs.values()) == [1] * KEYS
    # Whoever asked for one artifact got one, and it is the one its compile left.
    uris = {(outcome["key"], outcome["artifact_uri"]) for outcome in world.answered.values()}
    assert len(uris) == KEYS


def test_when_the_holder_dies_another_takes_over_once_its_lease_is_over(world: World) -> None:
    def dies(wanted: dict[str, Any]) -> None:
        if world.jobs["dead"]:  # the request itself lives on, and may be the one that takes over
            world.compile(wanted)
            return
        world.jobs["dead"] += 1
        world.aws.put("artifacts", f"artifacts/{wanted['key']}/{wanted['attempt']}/manifest.json", b"half an arti")
        world.aws.dynamodb.update_item(
            TableName="registry",
            Key={"artifact_key": {"S": wanted["key"]}},
            UpdateExpression="SET lease_expires = :soon",
            ExpressionAttributeValues={":soon": {"N": str(int(time.time()) + 1)}},
        )

    model = world.model(0)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(world.request, "request-dead", model, dies)
        time.sleep(0.2)
        others = [pool.submit(world.request, f"request-{number}", model) for number in range(3)]
        for one in (first, *others):
            one.result()
    world.join()
    assert {outcome["status"] for outcome in world.answered.values()} == {"ready"}
    assert len(world.answered) == 4
    assert sum(count for key, count in world.jobs.items() if key != "dead") == 1
    # What the dead one left is nobody's artifact.
    (uri,) = {outcome["artifact_uri"] for outcome in world.answered.values()}
    prefix = uri.removeprefix("s3://artifacts/")
    assert world.aws.s3.get_object(Bucket="artifacts", Key=f"{prefix}program")["Body"].read()


def test_an_attempt_that_comes_late_does_not_replace_what_others_have(world: World) -> None:
    model = world.model(0)
    late = world.begin({"model": model, "execution": "slow", "asked_at": 0}, None)["compile"]
    world.aws.dynamodb.update_item(
        TableName="registry",
        Key={"artifact_key": {"S": late["key"]}},
        UpdateExpression="SET lease_expires = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    world.request("fast", model)
    world.join()
    had = world.aws.item(late["key"])
    world.compile(late)
    world.fail({"compile": late, "error": {"Error": "E", "Cause": "late"}}, None)
    assert world.aws.item(late["key"]) == had
