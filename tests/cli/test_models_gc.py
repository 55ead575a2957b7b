"""``neuron-cdk models gc``, with the function's answers as plain values."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from neuron_cdk.cli import models, models_gc

FILE = str(Path(__file__).parents[2] / "deployments" / "production.yaml")


def artifact(letter: str, verdict: str, why: str, **more: Any) -> dict[str, Any]:
    return {
        "key": letter * 64,
        "model": "minilm",
        "state": "ready",
        "last_used": 1_764_210_000,
        "size": 3 * 1024 * 1024,
        "verdict": verdict,
        "why": why,
        **more,
    }


class FakeAws:
    """CloudFormation and Lambda in one; gives the answers one after the other."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.asked: list[Any] = []
        self.timeouts: list[int] = []
        self.outputs = {"Housekeeping": "housekeeping-1"}

    def client(self, _service: str, *, read_timeout: int = 30) -> Any:
        self.timeouts.append(read_timeout)
        return self

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803
        assert StackName == "production-Pipeline"
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803
        self.asked.append((FunctionName, json.loads(Payload)))
        whole = {"dry_run": False, "more": False, "artifacts": [], "uploads": [], "stuck": [], "problems": []}
        return {"Payload": io.BytesIO(json.dumps(whole | self.answers.pop(0)).encode())}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    fake = FakeAws()
    monkeypatch.setattr(models_gc, "ask", lambda *_: fake)
    return fake


def run(*words: str) -> Any:
    return CliRunner().invoke(models.app, ["gc", "-d", FILE, *words])


def test_it_says_what_became_of_each_and_why(aws: FakeAws) -> None:
    kept, gone = artifact("a", "keep", "used by Minilm"), artifact("b", "delete", "retired", size=1536)
    upload = {"prefix": f"artifacts/{'c' * 64}/a1/", "size": 12, "verdict": "delete"}
    aws.answers = [{"artifacts": [kept, gone], "uploads": [upload]}]
    done = run()

    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["b" * 12, "minilm", "2025-11-27", "02:20", "2", "KiB", "delete", "retired"],
        ["a" * 12, "minilm", "2025-11-27", "02:20", "3", "MiB", "keep", "used", "by", "Minilm"],
        ["c" * 12, "-", "-", "12", "B", "delete", *["artifacts", "of", "attempt", "a1", "came", "to", "nothing"]],
    ]
    assert aws.asked == [("housekeeping-1", {"dry_run": False})]


def test_a_dry_run_says_what_would_become(aws: FakeAws) -> None:
    aws.answers = [{"dry_run": True, "artifacts": [artifact("a", "retire", "not used for 31 days")]}]
    done = run("--dry-run")

    assert "retire   not used for 31 days: not found any more, deleted in an hour" in done.stdout
    assert done.stdout.endswith("a dry run: this is what would be done, and nothing was changed\n")
    assert aws.asked == [("housekeeping-1", {"dry_run": True})]


@pytest.mark.parametrize("verdict", ["keep", "retire", "wait", "restore", "delete", "changed", "failed", "later"])
def test_a_verdict_is_the_same_word_in_the_table_and_for_tools(verdict: str, aws: FakeAws) -> None:
    judged = {"artifacts": [artifact("a", verdict, "why")]}
    aws.answers = [judged, judged]
    row = run().stdout.splitlines()[1].split()

    assert row[6] == verdict == json.loads(run("--json").stdout)["artifacts"][0]["verdict"]


def test_it_asks_again_as_long_as_there_is_more(aws: FakeAws) -> None:
    first = {"more": True, "artifacts": [artifact("a", "later", "x"), artifact("b", "delete", "x")]}
    aws.answers = [first, {"artifacts": [artifact("a", "delete", "x")]}]
    told = json.loads(run("--json").stdout)

    assert {one["key"][0]: one["verdict"] for one in told["artifacts"]} == {"a": "delete", "b": "delete"}
    assert len(aws.asked) == 2


def test_it_waits_longer_than_the_function_may_take(aws: FakeAws) -> None:
    aws.answers = [{}]
    assert run().stdout == "nothing is there\n"
    assert max(aws.timeouts) > 900


def test_what_could_not_be_removed_is_1(aws: FakeAws) -> None:
    aws.answers = [{"artifacts": [artifact("a", "failed", "retired")], "problems": ["aaa: AccessDenied"]}]
    done = run()

    assert done.exit_code == 1
    assert "neuron-cdk: aaa: AccessDenied" in done.stderr


def test_stuck_leases_are_told(aws: FakeAws) -> None:
    aws.answers = [{"stuck": ["a" * 64]}]
    assert "the lease of aaaaaaaaaaaa ran out over an hour ago" in run().stderr


def test_a_pipeline_without_housekeeping_is_of_an_older_version(aws: FakeAws) -> None:
    aws.outputs = {}
    done = run()

    assert done.exit_code == 1
    assert "has no output Housekeeping: it is of an older version; deploy it" in done.stderr
