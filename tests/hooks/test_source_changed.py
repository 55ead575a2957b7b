"""An upload under a watched prefix: one execution for all of it, and none where it is not ours to ask."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from neuron_cdk.model.state_machines import request_machine

MACHINES = dict.fromkeys(("begin", "record_failure", "answer", "compile_machine", "registry"), "arn")
NOON = 1_798_459_200  # 2026-12-28T12:00:00Z
MINUTE = NOON // 60


@pytest.fixture
def hook(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("QUIET_SECONDS", "90")
    monkeypatch.setenv("POLL_SECONDS", "15")
    return load("compile.source_changed")


@pytest.fixture
def started(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The executions, by name; a name is taken once."""
    executions: dict[str, Any] = {}

    def start(_machine: str, name: str, document: dict[str, Any]) -> bool:
        new = name not in executions
        executions.setdefault(name, document)
        return new

    monkeypatch.setattr(hook.aws, "start_execution", start)
    return executions


@pytest.fixture
def declared(aws: Any, model: dict[str, Any]) -> dict[str, Any]:
    aws.set("model#minilm", document=json.dumps(model))
    return model


def uploaded(key: str = "minilm/config.json", at: str = "2026-12-28T12:00:10Z", sequencer: str = "0065A1") -> Any:
    detail = {"bucket": {"name": "models"}, "object": {"key": key, "size": 1, "etag": "e", "sequencer": sequencer}}
    return {"model": "minilm", "event": {"source": "aws.s3", "time": at, "detail": detail}}


def test_the_model_is_asked_for_as_it_was_declared(hook: ModuleType, started: Any, declared: Any) -> None:
    hook.handler(uploaded(), None)
    (asked,) = started.values()
    assert asked["model"] == declared
    assert asked["trigger"] == "watch"
    assert "request" not in asked


def test_all_objects_of_a_minute_start_one_execution_that_waits_until_it_is_quiet(
    hook: ModuleType, started: Any, declared: Any
) -> None:
    for second in (1, 30, 59):
        hook.handler(uploaded(f"minilm/{second}", f"2026-12-28T12:00:{second:02}Z"), None)
    assert list(started) == [f"watch-minilm-{MINUTE}"]
    assert started[f"watch-minilm-{MINUTE}"]["not_before"] == "2026-12-28T12:02:30Z"


def test_an_object_of_a_later_minute_starts_another(hook: ModuleType, started: Any, declared: Any) -> None:
    hook.handler(uploaded(at="2026-12-28T12:00:59Z"), None)
    hook.handler(uploaded(at="2026-12-28T12:01:00Z"), None)
    assert list(started) == [f"watch-minilm-{MINUTE}", f"watch-minilm-{MINUTE + 1}"]


def test_the_same_event_again_asks_for_the_same(hook: ModuleType, started: Any, declared: Any) -> None:
    hook.handler(uploaded(), None)
    before = dict(started)
    hook.handler(uploaded(), None)
    assert started == before


def test_where_a_marker_says_when_it_is_whole_nothing_else_starts_anything(
    hook: ModuleType, started: Any, declared: Any, aws: Any
) -> None:
    aws.put("models", "minilm/_READY", b"")
    hook.handler(uploaded(), None)
    assert not started


def test_every_marker_starts_its_own_at_once(hook: ModuleType, started: Any, declared: Any, aws: Any) -> None:
    aws.put("models", "minilm/_READY", b"")
    for sequencer in ("0065A1", "0065A2", "0065A2"):
        hook.handler(uploaded("minilm/_READY", sequencer=sequencer), None)
    assert list(started) == ["watch-minilm-0065A1", "watch-minilm-0065A2"]
    assert "not_before" not in started["watch-minilm-0065A1"]


def test_a_model_that_no_deploy_declared_starts_nothing(hook: ModuleType, started: Any, aws: Any) -> None:
    hook.handler(uploaded(), None)
    assert not started


def test_a_model_that_has_its_files_elsewhere_now_starts_nothing(
    hook: ModuleType, started: Any, aws: Any, model: dict[str, Any]
) -> None:
    model["Source"]["Prefix"] = "moved/"
    aws.set("model#minilm", document=json.dumps(model))
    hook.handler(uploaded(), None)
    assert not started


def test_an_execution_outlives_every_compile_and_tells_its_end_itself(
    hook: ModuleType, started: Any, declared: Any
) -> None:
    """Nobody waits for it: what is compiled in many shapes, eight at a time, is joined however long that takes."""
    hook.handler(uploaded(), None)
    (asked,) = started.values()
    patience = asked["deadline"] - NOON
    longest_compile = 12_960 * 60
    assert patience > longest_compile + 3 * 86_400
    # A look comes at the latest a hundredth of what was waited after the one before.
    assert patience * 1.01 < request_machine(**MACHINES)["TimeoutSeconds"]


def test_an_upload_is_settled_when_nothing_came_in_after_its_minute(
    hook: ModuleType, started: Any, declared: Any
) -> None:
    hook.handler(uploaded(), None)
    (asked,) = started.values()
    assert hook.watching.is_settled([NOON - 9, NOON + 59], asked["settled_at"])
    assert not hook.watching.is_settled([NOON - 9, NOON + 60], asked["settled_at"])
    assert hook.watching.is_settled([NOON + 60], None)


class TestWhatIsBegun:
    """The first step of the execution that an upload started."""

    @pytest.fixture
    def begin(self, load: Callable[[str], ModuleType], aws: Any, model: dict[str, Any]) -> Callable[[int], Any]:
        aws.put("models", "minilm/model.pt", b"weights")
        module = load("compile.begin_compile")

        def call(settled_at: int) -> Any:
            event = {"model": model, "execution": "watch-minilm-1", "trigger": "watch", "settled_at": settled_at}
            return module.handler(event, None)

        return call

    def test_compiles_what_has_settled(self, begin: Callable[[int], Any]) -> None:
        assert begin(int(time.time()) + 60)["status"] == "leased"

    def test_leaves_an_upload_that_goes_on_to_the_execution_of_its_end(
        self, begin: Callable[[int], Any], aws: Any
    ) -> None:
        outcome = begin(int(time.time()) - 60)
        assert outcome["status"] == "running"
        assert aws.keys("artifacts") == []

    def test_knows_no_difference_between_an_upload_with_a_marker_and_one_without(
        self, begin: Callable[[int], Any], aws: Any
    ) -> None:
        later = int(time.time()) + 60
        key = begin(later)["key"]
        aws.put("models", "minilm/_READY", b"2026-12-28")
        assert begin(later)["key"] == key
