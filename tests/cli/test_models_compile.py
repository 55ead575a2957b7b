"""``neuron-cdk models compile`` and its siblings, with AWS's answers as plain values."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from neuron_cdk.cli import compiling, live_models, models, models_compile
from neuron_cdk.cli.live_models import Artifact, LiveModel
from neuron_cdk.cli.live_releases import Target

KEY = "ab" * 32
ROOT = Path(__file__).parents[2]
FILE = ROOT / "deployments" / "production.yaml"
SHAPES = {"BatchSizes": ["1", "4"], "SequenceLengths": ["128"]}
READY = {
    "status": "ready",
    "model": "minilm",
    "key": KEY,
    "artifact_uri": f"s3://artifacts/artifacts/{KEY}/a1/",
    "cache": "miss",
    "compile_seconds": 61.4,
    "usd": 0.0234,
}


class FakeAws:
    """As much of every client as is used, all in one. ``ends`` is what each model's execution ends with."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.ends: dict[str, Any] = {}
        self.looks = 0
        self.running = 0
        """How often an execution says that it runs before it ends."""
        self.denied: set[str] = set()
        self.item: dict[str, Any] | None = None
        self.jobs: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.cluster = {"InstanceType": "ml.m5.2xlarge"}
        self.scanned: list[dict[str, Any]] = []
        self.broken = False
        self.past: dict[str, dict[str, Any]] = {}
        """Executions that were, by their ARN."""
        self.items: dict[str, dict[str, Any]] = {}
        """The registry's, by key, beside ``item``."""

    def client(self, _service: str, **_: Any) -> Any:
        return self

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803 - boto3's names
        name = StackName.rpartition("-")[2]
        outputs = {"Pipeline": {"RequestMachine": "machine"}, "Artifacts": {"RegistryTable": "registry"}}[name]
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]}]}

    def start_execution(self, **request: Any) -> Any:
        self.started.append(request)
        return {"executionArn": f"arn:aws:states:us-east-1:1:execution:machine:{request['name']}"}

    def describe_execution(self, *, executionArn: str) -> Any:  # noqa: N803
        if executionArn in self.past:
            return self.past[executionArn]
        self.looks += 1
        if self.broken:
            raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "over"}}, "DescribeExecution")
        if self.looks <= self.running:
            return {"status": "RUNNING"}
        end = next(end for model, end in self.ends.items() if f"person-{model}-" in executionArn)
        if "status" in end and end["status"] in ("FAILED", "ABORTED", "TIMED_OUT"):
            return end
        return {"status": "SUCCEEDED", "output": json.dumps(end)}

    def list_executions(self, *, stateMachineArn: str, maxResults: int) -> Any:  # noqa: N803
        self._ask("ListExecutions")
        assert (stateMachineArn, maxResults) == ("machine", 25)
        return {"executions": [{"executionArn": arn, "startDate": one["startDate"]} for arn, one in self.past.items()]}

    def get_execution_history(self, **_: Any) -> Any:
        self._ask("GetExecutionHistory")
        output = json.dumps({"Payload": {"key": KEY, "status": "leased"}})
        return {"events": [{"type": "TaskSucceeded", "taskSucceededEventDetails": {"output": output}}]}

    def get_item(self, *, Key: Any, **_: Any) -> Any:  # noqa: N803
        item = self.items.get(Key["artifact_key"]["S"], self.item)
        return {"Item": item} if item else {}

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        return [{"Items": self.scanned}]

    def list_processing_jobs(self, *, NameContains: str, **_: Any) -> Any:  # noqa: N803
        self._ask("ListProcessingJobs")
        return {"ProcessingJobSummaries": [job for job in self.jobs if NameContains in job["ProcessingJobName"]]}

    def describe_processing_job(self, **_: Any) -> Any:
        return {"ProcessingResources": {"ClusterConfig": self.cluster}}

    def describe_log_streams(self, **_: Any) -> Any:
        if not self.lines:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, "DescribeLogStreams")
        return {"logStreams": [{"logStreamName": "job/algo-1"}]}

    def get_log_events(self, *, limit: int, **_: Any) -> Any:
        return {"events": [{"message": line} for line in self.lines[-limit:]]}

    def _ask(self, operation: str) -> None:
        if operation in self.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    fake = FakeAws()
    declared = [
        LiveModel(name, document={"Name": name, "Target": "inf2", "Engine": "torch-neuronx", **SHAPES})
        for name in ("minilm", "reranker")
    ]
    failed = Artifact(KEY, "failed", "minilm", job_name="job-0", reason="boom\nat line 3", log_url="https://log")
    declared[0] = LiveModel("minilm", document=declared[0].document, artifacts=(failed,))
    monkeypatch.setattr(live_models, "ask", lambda *_: fake)
    monkeypatch.setattr(live_models, "read", lambda *_: [*declared, LiveModel("whisper")])
    monkeypatch.setattr(models_compile.time, "sleep", lambda _: None)
    return fake


def run(*words: str) -> Any:
    return CliRunner().invoke(models.app, [*words, "-d", str(FILE)])


def test_a_compile_is_asked_for_with_what_the_last_deploy_declared(aws: FakeAws) -> None:
    done = run("compile", "minilm")

    assert done.exit_code == 0
    (request,) = aws.started
    assert request["stateMachineArn"] == "machine"
    assert request["name"].startswith("person-minilm-")
    given = json.loads(request["input"])
    deadline = given.pop("deadline")
    assert deadline > 1_764_000_000
    assert given == {
        "model": {"Name": "minilm", "Target": "inf2", "Engine": "torch-neuronx", **SHAPES},
        "trigger": "person",
        "force": False,
        "poll_seconds": 15,
    }
    assert "minilm: asked for" in done.stdout
    assert aws.looks == 0


@pytest.mark.parametrize(
    ("document", "given", "hours"),
    [
        ({"TimeoutMinutes": "120"}, None, 24),
        ({"TimeoutMinutes": "2880"}, None, 49),
        ({"TimeoutMinutes": "720", "Splits": "true", "BatchSizes": list("12345678")}, None, 24),
        ({"TimeoutMinutes": "720", "Splits": "true", "BatchSizes": ["1"] * 3, "SequenceLengths": ["1"] * 3}, None, 26),
        ({"TimeoutMinutes": "12960", "Splits": "true", "BatchSizes": list("123456789")}, None, 13 * 24),
        ({"TimeoutMinutes": "2880"}, 60, 1),
    ],
    ids=["a day", "a long compile", "one round of shapes", "two rounds", "not longer than the machine", "a person's"],
)
def test_a_request_waits_as_long_as_the_compile_may_take(
    document: dict[str, Any], given: int | None, hours: int
) -> None:
    fake = FakeAws()
    model, asked = LiveModel("minilm", document=document), cast(Any, fake)
    compiling.start(asked, "machine", model, force=False, timeout_minutes=given)
    deadline = json.loads(fake.started[0]["input"])["deadline"]
    assert deadline - time.time() == pytest.approx(hours * 3600, abs=60)


def test_what_is_remembered_as_failed_is_tried_again_by_force(aws: FakeAws) -> None:
    run("compile", "minilm", "--force")

    assert json.loads(aws.started[0]["input"])["force"] is True


def test_several_models_are_compiled_at_once_and_each_once(aws: FakeAws) -> None:
    aws.ends = {"minilm": READY, "reranker": {**READY, "model": "reranker"}}
    done = run("compile", "minilm", "reranker", "minilm", "--wait")

    assert done.exit_code == 0
    assert [request["name"].split("-")[1] for request in aws.started] == ["minilm", "reranker"]


def test_waiting_ends_with_0_where_the_artifact_lies_and_what_it_cost(aws: FakeAws) -> None:
    aws.ends, aws.running = {"minilm": READY}, 3
    done = run("compile", "minilm", "--wait")

    assert done.exit_code == 0
    assert done.stdout == f"minilm: compiled in 61 s, $0.0234: {KEY}\n  s3://artifacts/artifacts/{KEY}/a1/\n"
    assert done.stderr == ""


def item(key: str, *unfit: str, **more: Any) -> dict[str, Any]:
    """A ready artifact, as DynamoDB has it, with the examples that fit none of its programs."""
    told = {"S": json.dumps({"ran": ["files"], "left": [], **({"unfit": unfit} if unfit else {})})}
    return {"artifact_key": {"S": key}, "state": {"S": "ready"}, "verification": told, **more}


def test_examples_that_fit_no_program_are_a_warning_with_the_shapes_and_what_to_do(aws: FakeAws) -> None:
    aws.ends, aws.item = {"minilm": READY}, item(KEY, "example 0 (x [9, 3])")
    done = run("compile", "minilm", "--wait")

    assert done.exit_code == 0
    assert done.stderr == (
        "minilm: warning: examples of the source's golden.json fit no program and are not asked: example 0 (x [9, 3]). "
        "The model is compiled for batch 1, 4; sequence 128; fewer rows are padded, lengths are not. Give them one of "
        "these shapes, or the model theirs (batch_sizes, sequence_lengths)\n"
    )
    (told,) = json.loads(run("compile", "minilm", "--wait", "--json").stdout)
    assert [f"minilm: warning: {warning}\n" for warning in told["warnings"]] == [done.stderr]


def test_an_example_that_fits_one_of_the_shapes_is_no_warning(aws: FakeAws) -> None:
    aws.ends = {"minilm": READY}
    parts = {"c" * 64: item("c" * 64, "example 0", "example 1"), "d" * 64: item("d" * 64, "example 1")}
    aws.items = {KEY: item(KEY, parts={"SS": list(parts)}), **parts}
    said = run("compile", "minilm", "--wait").stderr

    assert "not asked: example 1. " in said


def test_it_says_who_gets_the_artifact_without_a_deploy(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [Target("endpoint/embed", "minilm", "Endpoint-embed"), Target("fleet/rank", "reranker", "Fleet-rank")]
    monkeypatch.setattr(live_models, "targets", lambda _: told)
    aws.ends = {"minilm": READY}
    line = "  goes to endpoint/embed without a deploy; see neuron-cdk models history endpoint/embed\n"

    assert run("compile", "minilm", "--wait").stdout.endswith(line)
    assert run("compile", "minilm").stdout.endswith(line)
    assert json.loads(run("compile", "minilm", "--json").stdout)[0]["targets"] == ["endpoint/embed"]


def test_what_failed_goes_to_nobody(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_models, "targets", lambda _: [Target("endpoint/embed", "minilm", "Endpoint-embed")])
    aws.ends = {"minilm": {"status": "failed", "key": KEY, "reason": "no"}}

    assert run("compile", "minilm", "--wait").stdout == ""


def test_a_hit_is_said_to_be_one(aws: FakeAws) -> None:
    aws.ends = {"minilm": {**READY, "cache": "hit"}}

    assert run("compile", "minilm", "--wait").stdout.startswith(f"minilm: found: {KEY}")


def test_a_failure_ends_with_1_the_reason_the_log_and_its_end(aws: FakeAws) -> None:
    failed = {
        "status": "failed",
        "key": KEY,
        "cache": "miss",
        "reason": "ncc: no such operator",
        "log_url": "https://l",
    }
    aws.ends = {"minilm": failed}
    aws.item = {"artifact_key": {"S": KEY}, "state": {"S": "failed"}, "job_name": {"S": "job-0"}}
    aws.lines = ["lowering", "ncc: no such operator", "exit 70"]
    done = run("compile", "minilm", "--wait")

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == "minilm: failed: ncc: no such operator\n  | lowering\n  | exit 70\n  log: https://l\n"


def test_one_of_several_that_fails_is_1_and_the_others_are_told(aws: FakeAws) -> None:
    aws.ends = {"minilm": READY, "reranker": {"status": "failed", "key": KEY, "reason": "no"}}
    done = run("compile", "minilm", "reranker", "--wait")

    assert done.exit_code == 1
    assert done.stdout.startswith("minilm: compiled")
    assert done.stderr.startswith("reranker: failed: no")


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ({"status": "FAILED", "error": "States.Runtime", "cause": "x"}, "States.Runtime: x"),
        ({"status": "ABORTED"}, "the request ended as ABORTED"),
        (
            {"status": "error", "state": "Begin", "error": {"Error": "E", "Cause": '{"errorMessage": "no source"}'}},
            "no source (in state Begin)",
        ),
        ({}, "the request ended without an outcome"),
    ],
    ids=["failed", "aborted", "a step failed", "says nothing"],
)
def test_a_request_that_breaks_is_a_failure_in_words(end: dict[str, Any], said: str, aws: FakeAws) -> None:
    aws.ends = {"minilm": end}
    done = run("compile", "minilm", "--wait")

    assert (done.exit_code, done.stderr) == (1, f"minilm: failed: {said}\n")


def test_a_compile_that_outlasts_the_wait_goes_on(aws: FakeAws) -> None:
    aws.ends = {"minilm": {"status": "running", "key": KEY}}
    done = run("compile", "minilm", "--wait", "--timeout-minutes", "5")

    assert done.exit_code == 1
    assert "minilm: still compiling. Join it again: neuron-cdk models compile minilm --wait" in done.stderr


def test_json_is_one_document_and_nothing_else(aws: FakeAws) -> None:
    aws.ends, aws.running = {"minilm": READY}, 2
    done = run("compile", "minilm", "--wait", "--json")

    (told,) = json.loads(done.stdout)
    assert done.stderr == ""
    assert told.pop("execution_arn").endswith(aws.started[0]["name"])
    assert told == READY


def test_json_without_waiting_says_that_it_is_started(aws: FakeAws) -> None:
    (told,) = json.loads(run("compile", "minilm", "--json").stdout)

    assert (told["model"], told["status"]) == ("minilm", "started")


def test_leaving_ends_no_compile_and_says_how_to_join(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    aws.running = 9
    monkeypatch.setattr(models_compile.time, "sleep", interrupt)
    done = run("compile", "minilm", "reranker", "--wait")

    assert done.exit_code == 130
    assert f"neuron-cdk models compile minilm reranker --wait -d {FILE}" in done.stderr
    assert not hasattr(aws, "stopped")


def test_credentials_that_expire_while_waiting_are_1_and_the_compile_goes_on(aws: FakeAws) -> None:
    aws.broken = True
    done = run("compile", "minilm", "--wait")

    assert done.exit_code == 1
    assert "the compile goes on. Join it again" in done.stderr
    assert "the credentials have expired" in done.stderr


def test_progress_knows_key_state_host_and_last_line(aws: FakeAws) -> None:
    from neuron_cdk.cli.compiling import Compile, look

    aws.running, aws.lines = 9, ["first", "lowering op 7"]
    aws.item = {"artifact_key": {"S": KEY}, "state": {"S": "compiling"}, "attempt": {"S": "a1"}}
    aws.item["lease_owner"] = {"S": "mine"}
    aws.jobs = [{"ProcessingJobName": f"{KEY[:32]}-a1-0"}]
    one = Compile("minilm", "arn:aws:states:us-east-1:1:execution:machine:mine")
    look(aws, "registry", one)  # type: ignore[arg-type]

    assert (one.key, one.state, one.host, one.line) == (KEY, "compiling", "ml.m5.2xlarge", "lowering op 7")

    other = Compile("minilm", "arn:aws:states:us-east-1:1:execution:machine:other")
    look(aws, "registry", other)  # type: ignore[arg-type]
    assert other.state == "compiling for another request"


def test_the_host_is_known_once_sagemaker_has_chosen_one_of_several(aws: FakeAws) -> None:
    from neuron_cdk.cli.compiling import Compile, look

    aws.running, aws.cluster = 9, {}
    aws.item = {"artifact_key": {"S": KEY}, "state": {"S": "compiling"}, "attempt": {"S": "a1"}}
    aws.jobs = [{"ProcessingJobName": f"{KEY[:32]}-a1-0"}]
    one = Compile("minilm", "arn:aws:states:us-east-1:1:execution:machine:mine")
    look(aws, "registry", one)  # type: ignore[arg-type]
    assert one.host == ""

    aws.cluster = {"SelectedInstanceType": "ml.m6i.2xlarge"}
    look(aws, "registry", one)  # type: ignore[arg-type]
    assert one.host == "ml.m6i.2xlarge"


def test_progress_shows_the_parts_that_come_first(aws: FakeAws) -> None:
    from neuron_cdk.cli.compiling import Compile, look

    part = {"state": {"S": "compiling"}, "model": {"S": "minilm"}, "attempt": {"S": "a1"}}
    aws.running = 9
    aws.scanned = [{"artifact_key": {"S": letter * 64}, **part} for letter in "ef"]
    aws.scanned += [{"artifact_key": {"S": "model#minilm"}}, {"artifact_key": {"S": "0" * 64}, "state": {"S": "ready"}}]
    aws.jobs = [{"ProcessingJobName": f"{'e' * 32}-a1-0"}]
    one = Compile("minilm", "arn:aws:states:us-east-1:1:execution:machine:mine")
    look(aws, "registry", one)  # type: ignore[arg-type]
    assert (one.state, one.host) == ("compiling 2 parts", "ml.m5.2xlarge")

    aws.scanned = []
    look(aws, "registry", one)  # type: ignore[arg-type]
    assert one.state == "compiling 2 parts"  # the whole registry is not read with every look


@pytest.mark.parametrize("operation", ["GetExecutionHistory", "ListProcessingJobs"])
def test_who_may_not_see_the_job_still_waits_for_it(operation: str, aws: FakeAws) -> None:
    aws.denied, aws.running, aws.ends = {operation}, 3, {"minilm": READY}
    aws.item = {"artifact_key": {"S": KEY}, "state": {"S": "compiling"}, "attempt": {"S": "a1"}}

    assert run("compile", "minilm", "--wait").exit_code == 0


def test_progress_can_be_drawn(aws: FakeAws) -> None:
    from rich.console import Console

    from neuron_cdk.cli.compiling import Compile

    begun = [Compile("minilm", "arn", state="compiling", host="ml.m5.2xlarge", line="[red]op 7")]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(models_compile._progress(begun))
    drawn = console.export_text()
    assert "ml.m5.2xlarge" in drawn
    assert "[red]op 7" in drawn  # a log line is no markup


def test_a_name_that_is_nearly_one_is_2_and_starts_nothing(aws: FakeAws) -> None:
    done = run("compile", "reranker", "minilmm")

    assert (done.exit_code, aws.started) == (2, [])
    assert done.stderr == "neuron-cdk: production has no model minilmm; perhaps minilm\n"


def test_a_name_like_no_other_lists_the_models(aws: FakeAws) -> None:
    assert "its models: minilm, reranker, whisper" in run("show", "zzz").stderr


def test_a_model_that_was_never_deployed_is_declared_by_a_deploy(aws: FakeAws) -> None:
    done = run("compile", "minilm", "whisper", "--wait")

    assert (done.exit_code, aws.started) == (1, [])
    assert "cdk deploy declares it" in done.stderr


def test_show_has_the_log_and_the_whole_reason(aws: FakeAws) -> None:
    done = run("show", "minilm")

    assert done.exit_code == 0
    assert "https://log" in done.stdout
    assert "boom\n            at line 3" in done.stdout


def past(number: int, outcome: Any, *, model: str = "minilm", **asked: str) -> dict[str, Any]:
    """An execution of so many minutes after two o'clock."""
    return {
        "executionArn": f"arn:{number}",
        "startDate": datetime(2026, 11, 27, 2, number, tzinfo=UTC),
        "input": json.dumps({"model": {"Name": model}, **asked}),
        **({"status": "SUCCEEDED", "output": json.dumps(outcome)} if outcome else {"status": "RUNNING"}),
    }


BROKEN = {"status": "error", "state": "Begin", "error": {"Error": "E", "Cause": '{"errorMessage": "no object"}'}}


def shown(aws: FakeAws, *executions: dict[str, Any]) -> Any:
    aws.past = {one["executionArn"]: one for one in executions}
    return json.loads(run("show", "minilm", "--json").stdout)["last_failure"]


def test_show_says_why_the_last_request_failed_before_there_was_an_artifact(aws: FakeAws) -> None:
    # The list's order is not relied on; another model's, and that of a shape, are not the model's own.
    others = [past(9, BROKEN, model="reranker"), past(8, READY, trigger="need")]
    last = past(7, BROKEN, trigger="person")

    told = {"at": "2026-11-27 02:07", "by": "person", "reason": "no object (in state Begin)", "execution_arn": "arn:7"}
    assert shown(aws, past(1, READY), *others, last) == told
    said = "its last request (person, 2026-11-27 02:07 UTC) failed: no object (in state Begin)\n    execution arn:7\n"
    assert said in run("show", "minilm").stdout


@pytest.mark.parametrize("outcome", [READY, {"status": "running"}, None], ids=["ready", "gave up waiting", "runs"])
def test_a_failure_is_not_the_last_when_something_came_later(outcome: Any, aws: FakeAws) -> None:
    assert shown(aws, past(1, BROKEN), past(2, outcome)) is None


def test_who_may_not_see_requests_is_shown_the_model(aws: FakeAws) -> None:
    aws.denied = {"ListExecutions"}

    assert shown(aws, past(1, BROKEN)) is None


def test_list_is_a_line_a_model_and_json_is_everything(aws: FakeAws) -> None:
    lines = run("list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["model", "minilm", "reranker", "whisper"]
    assert lines[1].endswith("boom")
    told = json.loads(run("list", "--json").stdout)
    assert told[0]["artifacts"][0]["reason"] == "boom\nat line 3"


def test_the_deployment_is_the_only_one_there_is(aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments" / "only.yaml").write_text(FILE.read_text())
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(models.app, ["list"]).exit_code == 0

    (tmp_path / "deployments" / "other.yaml").write_text(FILE.read_text())
    done = CliRunner().invoke(models.app, ["list"])
    assert done.exit_code == 2
    assert "there are deployments/only.yaml, deployments/other.yaml" in done.stderr
