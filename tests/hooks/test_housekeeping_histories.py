"""Whatever happens in whatever order, nothing that is in use is ever removed, and what nobody uses goes in the end.

Random histories on moto's DynamoDB and S3: compiles, hits, stacks, releases, wholes of parts, days that pass, and runs
of housekeeping that are killed at any of their calls.
"""

from __future__ import annotations

import json
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAY = 86400
HOUR = 3600
START = 1_800_000_000
KEYS = [letter * 64 for letter in "abcd"]


class Killed(BaseException):
    """The function's process ends."""


class World:
    """The registry and the bucket, and beside them who really uses what."""

    def __init__(self, hook, registry, retirement, aws):
        self.hook, self.registry, self.aws = hook, registry, aws
        self.now = START
        self.stacks: dict[str, set[str]] = {key: set() for key in KEYS}
        self.released: str | None = None
        self.attempts = self.requests = 0
        self.used: dict[str, int] = {}
        self.parts: dict[str, set[str]] = {}
        for item in aws.dynamodb.scan(TableName="registry")["Items"]:
            aws.dynamodb.delete_item(TableName="registry", Key={"artifact_key": item["artifact_key"]})
        for key in aws.keys("artifacts"):
            aws.s3.delete_object(Bucket="artifacts", Key=key)

    def send(self, request) -> bool:
        try:
            self.aws.dynamodb.update_item(**request)
        except self.aws.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def obtain(self, key: str, parts=()) -> None:
        """What a request does: it finds the artifact, or takes a lease, compiles and publishes."""
        self.requests += 1
        execution = f"e{self.requests}"
        if self.send(self.registry.count_hit("registry", key, asked="x", execution=execution, now=self.now)):
            self.used[key] = self.now
            return
        for part in parts:
            self.obtain(part)
        self.attempts += 1
        attempt = f"a{self.attempts}"
        for name in ("manifest.json", "model.neff"):
            self.aws.put("artifacts", f"artifacts/{key}/{attempt}/{name}", b"1")
        fields = {"artifact_uri": f"s3://artifacts/artifacts/{key}/{attempt}/"}
        if parts:
            fields["parts"] = sorted(parts)
        assert self.send(self.registry.publish("registry", key, fields, attempt=attempt, now=self.now))
        self.used[key], self.parts[key] = self.now, set(parts)

    def use(self, key: str, stack: str) -> None:
        self.obtain(key)
        assert self.send(self.registry.use("registry", key, f"arn|{stack}", self.now))
        self.stacks[key].add(stack)

    def leave(self, key: str, stack: str) -> None:
        if stack in self.stacks[key]:
            self.send(self.registry.release("registry", key, f"arn|{stack}"))
            self.stacks[key].discard(stack)

    def release(self, key: str) -> None:
        """A release writes down what it is about to serve, then looks whether it is there."""
        document = {"current": {"artifact_key": key}, "previous": None, "pending": None, "history": []}
        self.aws.set("release#endpoint/embed", document=json.dumps(document))
        ready = self.aws.item(key).get("state") == "ready"
        self.released = key if ready else None
        if not ready:
            self.aws.set("release#endpoint/embed", document=json.dumps({**document, "current": None}))

    def run(self, task: str, killed_at: int | None) -> None:
        hook, calls = self.hook, 0

        def counted(call):
            def do(*arguments):
                nonlocal calls
                calls += 1
                if calls == killed_at:  # half of the kills are after the call has had its effect
                    if calls % 2:
                        call(*arguments)
                    raise Killed
                return call(*arguments)

            return do

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(hook, "time", SimpleNamespace(time=lambda: self.now))
            for module, name in ((hook.aws, "update_item"), (hook.housekeeping_aws, "delete_objects")):
                patched.setattr(module, name, counted(getattr(module, name)))
            patched.setattr(hook.housekeeping_aws, "delete_item", counted(hook.housekeeping_aws.delete_item))
            with suppress(Killed):
                hook.handler({"task": task}, None)

    def live(self, ready: set[str]) -> set[str]:
        """What must be there, by who really uses it."""
        live = {key for key in KEYS if self.stacks[key]}
        live |= {key for key, at in self.used.items() if at + 30 * DAY > self.now and key in ready}
        live |= {self.released} if self.released else set()
        more = True
        while more:
            more = {part for key in live for part in self.parts.get(key, ())} - live
            live |= more
        return live

    def check(self) -> None:
        there = set(self.aws.keys("artifacts"))
        items = {item["artifact_key"]["S"]: item for item in self.aws.dynamodb.scan(TableName="registry")["Items"]}
        ready = {key for key in KEYS if items.get(key, {}).get("state", {}).get("S") == "ready"}
        lost = self.live(ready) - ready
        assert not lost, f"{', '.join(key[0] for key in lost)} in use and not ready"
        for key in ready:
            attempt = items[key]["attempt"]["S"]
            for name in ("manifest.json", "model.neff"):
                assert f"artifacts/{key}/{attempt}/{name}" in there, f"{key[0]} is ready and {name} is gone"


STEPS = st.one_of(
    st.tuples(st.just("obtain"), st.sampled_from(KEYS[:3])),
    st.tuples(st.just("whole")),
    st.tuples(st.just("use"), st.sampled_from(KEYS), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just("leave"), st.sampled_from(KEYS), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just("release"), st.sampled_from(KEYS)),
    st.tuples(st.just("pass"), st.sampled_from([HOUR, DAY, 29 * DAY, 31 * DAY])),
    st.tuples(st.just("run"), st.sampled_from(["collect", "watch"]), st.none() | st.integers(1, 8)),
)


@pytest.fixture
def world(load, aws, monkeypatch):
    monkeypatch.setenv("KEEP_DAYS", "30")
    monkeypatch.setenv("GRACE_SECONDS", "3600")
    hook = load("housekeeping.hook")
    # What a listing dates by the real clock is of no matter here: uploads have tests of their own.
    monkeypatch.setattr(hook, "_LEFT_SECONDS", 10**10)
    return lambda: World(hook, load("registry"), load("housekeeping.retirement"), aws)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=20))
def test_nothing_in_use_is_ever_removed(steps, world):
    one = world()
    for name, *arguments in steps:
        if name == "pass":
            one.now += arguments[0]
        elif name == "whole":
            one.obtain(KEYS[3], parts=(KEYS[0], KEYS[1]))
        else:
            getattr(one, name)(*arguments)
        one.check()

    # Everybody leaves: then all of it goes, whatever was killed in the middle.
    for key in KEYS:
        for stack in ("s1", "s2"):
            one.leave(key, stack)
    one.aws.dynamodb.delete_item(TableName="registry", Key={"artifact_key": {"S": "release#endpoint/embed"}})
    one.released = None
    one.now += 31 * DAY
    one.run("collect", None)
    one.now += HOUR
    one.run("watch", None)
    assert [one.aws.item(key) for key in KEYS] == [{}] * 4
