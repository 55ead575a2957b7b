"""A compile that ran out of memory goes on with a larger host, however long it ran, and nobody begins too small again.

Begin and RecordFailure, one after the other, as the two machines call them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from neuron_jobs import memory

Load = Callable[[str], ModuleType]
HOSTS = [{"Type": name, "UsdPerHour": ""} for name in ("ml.m5.2xlarge", "ml.m6i.2xlarge", "ml.r5.2xlarge")]
STARTED_AT = 1_800_000_000
ENDED_AT = STARTED_AT + 50 * 60
TWO_HOURS, AN_HOUR, HALF_AN_HOUR = 7200, 3600, 1800


def killed(host: str, **more: Any) -> dict[str, str]:
    """The error of a job that ran for 50 minutes, until its compiler was killed."""
    job = {
        "ProcessingJobName": "job-0",
        "ProcessingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: See job logs for more information",
        "ExitMessage": f"RuntimeError: neuronx-cc failed with -9\n{memory.TOO_LITTLE}",
        "ProcessingResources": {"ClusterConfig": {"SelectedInstanceType": host}},
        "ProcessingStartTime": STARTED_AT * 1000,
        "ProcessingEndTime": ENDED_AT * 1000,
        "StoppingCondition": {"MaxRuntimeInSeconds": TWO_HOURS},
    }
    return {"Error": "States.TaskFailed", "Cause": json.dumps({**job, **more})}


LOST = {"FailureReason": "InternalServerError: We encountered an internal error.", "ExitMessage": ""}


class Pipeline:
    """Both hooks, at a time that the test sets."""

    def __init__(self, load: Load, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]) -> None:
        self.now, self.model = STARTED_AT, {**model, "Hosts": HOSTS}
        self._begin, self._record = load("compile.begin_compile"), load("compile.record_failure")
        for module in (self._begin, self._record):
            monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: self.now))

    def begin(self, execution: str, *, force: bool = False) -> dict[str, Any]:
        event = {"model": self.model, "execution": execution, "asked_at": self.now, "force": force}
        answer: dict[str, Any] = self._begin.handler(event, None)
        return answer

    def fails(self, work: dict[str, Any], plan: dict[str, Any], error: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self._record.handler({"compile": work, "plan": plan, "error": error}, None)
        return answer


@pytest.fixture
def pipeline(load: Load, aws: Any, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]) -> Pipeline:
    monkeypatch.setenv("LEASE_SECONDS", str(AN_HOUR))
    aws.put("models", "minilm/model.pt", b"weights")
    return Pipeline(load, monkeypatch, model)


@pytest.fixture
def work(pipeline: Pipeline) -> dict[str, Any]:
    """What the compile machine was started with, 51 minutes ago."""
    work: dict[str, Any] = pipeline.begin("request-1")["compile"]
    pipeline.now = ENDED_AT + 60
    return work


def on(plan: dict[str, Any]) -> list[str]:
    cluster = plan["cluster"]
    return [one["InstanceType"] for one in cluster.get("InstancePreferences", [cluster])]


def test_a_compiler_killed_after_50_minutes_is_tried_on_a_larger_host(pipeline: Pipeline, work: dict[str, Any]) -> None:
    answer = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge"))
    assert (answer["again"], on(answer["plan"])) == (True, ["ml.r5.2xlarge"])


def test_the_lease_is_renewed_for_the_whole_of_the_next_try(pipeline: Pipeline, work: dict[str, Any], aws: Any) -> None:
    answer = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge"))
    item = aws.item(work["key"])
    # As long as the first: from when the job ended, and a second's wait.
    assert int(item["lease_expires"]) == ENDED_AT + 1 + TWO_HOURS + AN_HOUR
    assert answer["plan"]["start_by"] == ENDED_AT + 1 + HALF_AN_HOUR
    assert (item["state"], item["attempt"], item["lease_owner"]) == ("compiling", work["attempt"], "request-1")


def test_whoever_calls_twice_hears_and_leaves_the_same(pipeline: Pipeline, work: dict[str, Any], aws: Any) -> None:
    answer = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge"))
    item = aws.item(work["key"])
    pipeline.now += 60
    assert pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge")) == answer
    assert aws.item(work["key"]) == item


def test_a_host_lost_after_50_minutes_is_tried_again_with_the_lease_renewed(
    pipeline: Pipeline, work: dict[str, Any], aws: Any
) -> None:
    answer = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge", **LOST))
    assert (answer["again"], on(answer["plan"])) == (True, [host["Type"] for host in HOSTS])
    item = aws.item(work["key"])
    assert int(item["lease_expires"]) == ENDED_AT + 30 + TWO_HOURS + AN_HOUR
    assert "too_small" not in item


def test_hosts_that_cannot_be_had_are_waited_for_from_the_renewal_on(
    pipeline: Pipeline, work: dict[str, Any], aws: Any
) -> None:
    short = {"Error": "SageMaker.AmazonSageMakerException", "Cause": "CapacityError: none"}
    plan = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge"))["plan"]
    item = aws.item(work["key"])
    answer = pipeline.fails(work, plan, short)
    # The only one that is large enough, after a while; nothing has run that would renew the lease again.
    assert (on(answer["plan"]), answer["wait_seconds"]) == (["ml.r5.2xlarge"], 120)
    assert aws.item(work["key"]) == item
    pipeline.now = plan["start_by"]
    assert pipeline.fails(work, answer["plan"], short)["again"] is False


def test_the_lease_of_another_attempt_is_not_renewed(pipeline: Pipeline, work: dict[str, Any], aws: Any) -> None:
    aws.set(work["key"], state="compiling", attempt="a2", lease_owner="request-2", lease_expires=pipeline.now + 9)
    item = aws.item(work["key"])
    answer = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge"))
    assert (answer["again"], answer["recorded"]) == (False, False)
    assert aws.item(work["key"]) == item


def test_no_try_begins_that_the_execution_would_not_live_to_see_the_end_of(
    pipeline: Pipeline, work: dict[str, Any], aws: Any
) -> None:
    pipeline.now = work["lease"]["last_start"]
    late = {"ProcessingStartTime": STARTED_AT, "ProcessingEndTime": pipeline.now}
    assert pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge", **late))["again"] is False


def test_what_an_older_version_started_is_tried_again_as_it_did(pipeline: Pipeline, work: dict[str, Any]) -> None:
    old = {name: value for name, value in work.items() if name != "lease"}
    assert pipeline.fails(old, old["plan"], killed("ml.m5.2xlarge"))["again"] is False
    pipeline.now = old["start_by"] - 1
    assert on(pipeline.fails(old, old["plan"], killed("ml.m5.2xlarge"))["plan"]) == ["ml.r5.2xlarge"]


class TestTheLargestIsTooSmall:
    @pytest.fixture
    def key(self, pipeline: Pipeline, work: dict[str, Any]) -> str:
        plan = pipeline.fails(work, work["plan"], killed("ml.m5.2xlarge"))["plan"]
        assert pipeline.fails(work, plan, killed("ml.r5.2xlarge"))["again"] is False
        return str(work["key"])

    def test_that_is_final_and_says_what_can_be_done(self, pipeline: Pipeline, aws: Any, key: str) -> None:
        item = aws.item(key)
        assert item["final"] is True
        assert item["reason"].splitlines() == [
            "RuntimeError: neuronx-cc failed with -9",
            memory.TOO_LITTLE,
            "ml.r5.2xlarge has 64 GiB of memory, and of the hosts that such models are compiled on none has more: give "
            "it less to compile, with smaller batch_sizes or sequence_lengths or a smaller dtype",
        ]
        assert pipeline.begin("request-2")["status"] == "failed"

    def test_force_begins_with_the_largest(self, pipeline: Pipeline, key: str) -> None:
        pipeline.now += 1
        assert on(pipeline.begin("request-2", force=True)["compile"]["plan"]) == ["ml.r5.2xlarge"]


class TestNoTimeForTheLarger:
    """What ran out of memory when nothing more may begin is not the same next time: larger hosts are left."""

    @pytest.fixture
    def key(self, pipeline: Pipeline, work: dict[str, Any]) -> str:
        last = {**work, "lease": {**work["lease"], "last_start": 1}}
        assert pipeline.fails(last, work["plan"], killed("ml.m5.2xlarge"))["again"] is False
        return str(work["key"])

    def test_that_is_not_final_and_says_what_comes_next(self, aws: Any, key: str) -> None:
        item = aws.item(key)
        assert item["final"] is False
        assert item["reason"].splitlines()[-1] == (
            "ml.m5.2xlarge has 32 GiB of memory; the next time it begins on ml.r5.2xlarge: ask again"
        )

    @pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
    def test_whoever_asks_next_begins_larger(self, pipeline: Pipeline, key: str, force: bool) -> None:
        pipeline.now += 1
        assert on(pipeline.begin("request-2", force=force)["compile"]["plan"]) == ["ml.r5.2xlarge"]

    def test_the_same_event_twice_begins_alike(self, pipeline: Pipeline, key: str) -> None:
        assert pipeline.begin("request-2") == pipeline.begin("request-2")
