"""Who may release when: queues, people, what arrives late, and what starts an execution."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.release_world import ITEM, TARGET, Releases, key

Load = Callable[[str], ModuleType]
TOKEN = "a-task-token"


@pytest.fixture
def stack(load: Load, monkeypatch: pytest.MonkeyPatch) -> Releases:
    made = Releases(load, monkeypatch)
    made.run("request-1", made.deploy(1))
    made.answers.clear()
    return made


def begin(stack: Releases, execution: str, asked: dict[str, Any]) -> dict[str, Any]:
    return stack.step(execution, asked, {"next": "acquire"})


def outcome(stack: Releases) -> str:
    return str(stack.aws.record()["history"][0]["outcome"])


# -- One at a time ---------------------------------------------------------------------------------------------------


def test_a_second_release_waits_for_the_first(stack: Releases) -> None:
    begin(stack, "artifact-2", stack.artifact(2))

    answer = begin(stack, "artifact-3", stack.artifact(3))

    assert (answer["next"], answer["wait"]) == ("acquire", 15)


def test_a_lease_that_ran_out_is_taken_and_its_holder_does_nothing_more(stack: Releases) -> None:
    begin(stack, "artifact-2", stack.artifact(2))
    stack.aws.sleep(3601)

    stack.run("artifact-3", stack.artifact(3))

    assert stack.aws.serves() == key(3)
    with pytest.raises(Exception, match="does not hold endpoint/embed"):
        stack.call({"step": "apply", "execution": "artifact-2", "input": {}})
    assert stack.aws.serves() == key(3)


def test_the_later_of_two_artifacts_wins_whichever_is_worked_on_first(stack: Releases) -> None:
    old = stack.artifact(2)
    stack.aws.sleep(10)
    stack.run("artifact-3", stack.artifact(3))

    answer = begin(stack, "artifact-2", old)

    assert answer["outcome"] == "unchanged"
    assert "asked for later" in answer["reason"]


def test_an_artifact_that_was_taken_back_is_not_tried_again_by_itself_but_by_hand(stack: Releases) -> None:
    stack.aws.bad.add(key(2))
    stack.run("artifact-2", stack.artifact(2))
    stack.aws.bad.clear()

    assert begin(stack, "artifact-again", stack.artifact(2))["outcome"] == "unchanged"

    stack.run("person-1", {"trigger": "person", "model": "minilm", "artifact_key": key(2)})
    assert stack.aws.serves() == key(2)


# -- What can be released --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"trigger": "person", "artifact_key": "f" * 64}, "there is no artifact"),
        ({"trigger": "person"}, "no artifact is named"),
        ({"trigger": "rollback"}, "no other artifact"),
        ({"trigger": "rollback", "to": "12345678"}, "no release 12345678"),
    ],
)
def test_what_cannot_be_released_is_refused_and_holds_nothing(stack: Releases, asked: Any, words: str) -> None:
    before = stack.aws.state()

    answer = stack.run("person-1", asked)

    assert answer["outcome"] == "refused"
    assert words in answer["reason"]
    assert stack.aws.state() == before


def test_another_models_artifact_is_refused(stack: Releases) -> None:
    stack.aws.artifact(7, model="bert")

    answer = stack.run("person-1", {"trigger": "person", "artifact_key": key(7), "model": "minilm"})

    assert "is of model bert" in answer["reason"]


def test_an_artifact_that_is_still_compiling_is_refused(stack: Releases) -> None:
    stack.aws.items[key(7)]["state"] = {"S": "compiling"}

    assert stack.run("person-1", {"trigger": "person", "artifact_key": key(7)})["outcome"] == "refused"


def test_a_target_that_is_not_deployed_is_refused(stack: Releases) -> None:
    stack.fresh()

    assert "deploy its stack first" in stack.run("artifact-2", stack.artifact(2))["reason"]


def test_a_rollback_goes_to_a_release_by_its_id(stack: Releases) -> None:
    for version in (2, 3):
        stack.run(f"artifact-{version}", stack.artifact(version))
    oldest = stack.aws.record()["history"][-1]["id"]

    stack.run("person-1", {"trigger": "rollback", "to": oldest})

    assert stack.aws.serves() == key(1)


def test_the_history_keeps_fifty(stack: Releases) -> None:
    for number in range(60):
        stack.run(f"artifact-{number}", stack.artifact(2 + number % 2))

    assert len(stack.aws.record()["history"]) == 50


# -- People ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(stack: Releases) -> Releases:
    """A release that awaits approval."""
    stack.approval()
    asked = stack.artifact(2)
    assert begin(stack, "artifact-2", asked)["next"] == "approve"
    stack.call({"step": "ask", "execution": "artifact-2", "input": asked, "token": TOKEN})
    return stack


def test_the_token_lies_in_the_registry_and_nowhere_else(asking: Releases, capsys: Any) -> None:
    assert asking.aws.items[ITEM]["approval_token"]["S"] == TOKEN
    assert TOKEN not in json.dumps(asking.aws.record())
    assert TOKEN not in json.dumps(asking.aws.told)
    assert TOKEN not in capsys.readouterr().out
    assert asking.aws.told[-1]["DetailType"] == "Neuron Release Awaiting Approval"


def test_a_yes_lets_it_go_on(asking: Releases) -> None:
    answer: dict[str, Any] = {"next": "apply"}
    while answer["next"] != "done":
        asking.aws.sleep(answer.get("wait", 0))
        answer = asking.step("artifact-2", asking.artifact(2), answer)

    assert asking.aws.serves() == key(2)
    assert "approval_token" not in asking.aws.items[ITEM]


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        ({"Error": "Rejected", "Cause": "arn rejected it: not today"}, "rejected", "not today"),
        ({"Error": "States.Timeout", "Cause": ""}, "rejected", "within a day"),
        ({"Error": "Superseded", "Cause": "another release"}, "superseded", "another release"),
    ],
)
def test_a_no_ends_it_and_nothing_moves(asking: Releases, error: Any, outcome: str, words: str) -> None:
    asked = asking.artifact(2)
    event = {"step": "reject", "execution": "artifact-2", "input": asked, "error": error}

    assert asking.call(event)["next"] == "finish"
    assert asking.step("artifact-2", asked, {"next": "finish"})["next"] == "done"

    (past, *_) = asking.aws.record()["history"]
    assert past["outcome"] == outcome
    assert words in past["reason"]
    assert asking.aws.serves() == key(1)
    assert "lease_owner" not in asking.aws.items[ITEM]


def test_an_artifact_that_nobody_could_be_asked_about_can_be_released_again(asking: Releases) -> None:
    asked = asking.artifact(2)
    error = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate exceeded"}
    asking.call({"step": "reject", "execution": "artifact-2", "input": asked, "error": error})
    asking.step("artifact-2", asked, {"next": "finish"})

    (past, *_) = asking.aws.record()["history"]
    assert past["outcome"] == "failed"
    assert "nobody could be asked: Lambda.TooManyRequestsException: Rate exceeded" in past["reason"]
    assert begin(asking, "artifact-again", asked)["next"] == "approve"


@pytest.mark.parametrize("kind", ["artifact", "Update", "Delete"])
def test_nobody_waits_behind_one_that_waits_for_a_person(asking: Releases, kind: str) -> None:
    later = asking.artifact(3) if kind == "artifact" else asking.deploy(3, kind=kind)

    assert begin(asking, "later", later)["next"] == "acquire"

    assert asking.aws.ended_tasks[0]["taskToken"] == TOKEN
    assert asking.aws.ended_tasks[0]["error"] == "Superseded"


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ({"trigger": "person", "version": 1}, "unchanged"),  # what is served
        ({"trigger": "person", "version": 2}, "unchanged"),  # what awaits approval
        ({"trigger": "rollback"}, "refused"),  # there is nothing to go back to
    ],
    ids=["served", "asked for already", "nowhere to go"],
)
def test_what_comes_to_nothing_leaves_one_that_waits_for_a_person(
    asking: Releases, later: dict[str, Any], outcome: str
) -> None:
    asked = {"trigger": later["trigger"]}
    if "version" in later:
        asked = {**asking.artifact(later["version"]), **asked}

    assert begin(asking, "later", asked)["outcome"] == outcome

    assert asking.aws.ended_tasks == []
    assert asking.aws.record()["pending"]["artifact_key"] == key(2)


@pytest.mark.parametrize("trigger", ["deploy", "rollback"])
def test_deploys_and_rollbacks_ask_nobody(stack: Releases, trigger: str) -> None:
    stack.run("artifact-2", stack.artifact(2))
    stack.approval()
    asked = stack.deploy(3, kind="Update") if trigger == "deploy" else {"trigger": "rollback"}

    assert begin(stack, "now", asked)["next"] == "apply"


# -- CloudFormation's hour -------------------------------------------------------------------------------------------


def test_a_deploy_that_takes_too_long_fails_and_is_taken_back(stack: Releases) -> None:
    asked = stack.deploy(2, kind="Update")
    begin(stack, "request-2", asked)
    stack.step("request-2", asked, {"next": "apply"})

    answer = stack.step("request-2", asked, {"next": "late"})

    assert answer["next"] == "take_back"
    assert "55 of the 60 minutes" in stack.answers[0]["Reason"]
    while answer["next"] != "done":
        stack.aws.sleep(answer["wait"])
        answer = stack.step("request-2", asked, answer)
    assert stack.aws.serves() == key(1)


@pytest.mark.parametrize(
    ("left", "seconds"), [(3000, 800), (100, 220), (-600, 0)], ids=["in time", "late", "tried again after all"]
)
def test_verification_ends_before_cloudformation_stops_waiting(
    stack: Releases, monkeypatch: pytest.MonkeyPatch, left: int, seconds: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(stack.module.KIND, "verify", lambda _release, seconds: given.append(seconds) or "")
    asked = stack.deploy(2, kind="Update")
    for step in ("acquire", "apply"):
        stack.step("request-2", asked, {"next": step})
    stack.aws.sleep(100)
    stack.step("request-2", asked, {"next": "progress"})

    stack.step("request-2", {**asked, "deadline": stack.aws.now + left}, {"next": "verify"})

    assert given == [seconds]


def test_verification_that_nobody_waits_for_has_all_the_time_there_is(
    stack: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(stack.module.KIND, "verify", lambda _release, seconds: given.append(seconds) or "")

    stack.run("artifact-2", stack.artifact(2))

    assert given == [800]


def test_a_deploy_that_waits_in_vain_for_another_fails(stack: Releases) -> None:
    begin(stack, "artifact-2", stack.artifact(2))

    answer = stack.step("request-3", stack.deploy(3, kind="Update"), {"next": "late"})

    assert answer["next"] == "done"
    assert "waits for another one" in stack.answers[0]["Reason"]


def test_cloudformations_way_back_does_not_wait_for_what_is_taken_back(stack: Releases) -> None:
    asked = stack.deploy(2, kind="Update")
    begin(stack, "request-2", asked)
    stack.step("request-2", asked, {"next": "apply"})
    stack.step("request-2", asked, {"next": "late"})

    stack.run("request-3", stack.deploy(1, kind="Update"))

    assert stack.answers[-1]["Status"] == "SUCCESS"


# -- What starts an execution ----------------------------------------------------------------------------------------


class Starts:
    def __init__(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "RELEASE_MACHINE_ARN": "arn:machine",
            "TARGET": TARGET,
            "MODEL": "minilm",
        }.items():
            monkeypatch.setenv(name, value)
        self.module = load("release.start")
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[dict[str, Any]] = []
        monkeypatch.setattr(self.module.aws, "start_execution", self._start)
        monkeypatch.setattr(
            self.module.cloudformation, "deliver", lambda _request, body: self.answers.append(json.loads(body))
        )
        self.refuses: Exception | None = None

    def _start(self, _machine: str, name: str, document: dict[str, Any]) -> bool:
        if self.refuses:
            raise self.refuses
        self.started.append((name, json.loads(json.dumps(document))))
        return True


@pytest.fixture
def starts(load: Load, monkeypatch: pytest.MonkeyPatch) -> Starts:
    return Starts(load, monkeypatch)


REQUEST = {
    "RequestType": "Create",
    "RequestId": "r1",
    "ResponseURL": "https://cloudformation.example/secret",
    "StackId": "arn:stack",
    "LogicalResourceId": "Release",
    "ResourceProperties": {
        "Target": TARGET,
        "Declaration": "{}",
        "Model": "minilm",
        "ArtifactKey": key(1),
        "ArtifactUri": "s3://a/b/",
    },
}


def artifact_event(**detail: Any) -> dict[str, Any]:
    told = {"model": "minilm", "key": key(2), "artifact_uri": "s3://a/c/", "trigger": "watch", **detail}
    return {"source": "neuron-cdk.models", "id": "e1", "time": "2026-11-27T03:00:00Z", "detail": told}


def test_a_request_starts_an_execution_named_after_it(starts: Starts) -> None:
    starts.module.handler(REQUEST, None)

    ((name, asked),) = starts.started
    assert name == "request-r1"
    assert (asked["trigger"], asked["artifact_key"], asked["declaration"]) == ("deploy", key(1), "{}")


def test_what_cannot_be_started_is_answered_at_once(starts: Starts) -> None:
    starts.refuses = RuntimeError("no such machine")

    starts.module.handler(REQUEST, None)

    assert starts.answers[0]["Status"] == "FAILED"
    assert "no such machine" in starts.answers[0]["Reason"]


def test_a_delete_of_what_never_was_is_answered_at_once(starts: Starts) -> None:
    starts.module.handler({**REQUEST, "RequestType": "Delete", "PhysicalResourceId": "none-r1"}, None)

    assert starts.started == []
    assert starts.answers[0]["Status"] == "SUCCESS"


def test_a_new_artifact_of_the_model_starts_a_release_of_it(starts: Starts) -> None:
    starts.module.handler(artifact_event(), None)

    ((name, asked),) = starts.started
    assert name == "artifact-e1"
    assert (asked["trigger"], asked["artifact_key"], asked["asked_at"]) == ("artifact", key(2), 1795748400)


@pytest.mark.parametrize("detail", [{"trigger": "deploy"}, {"trigger": "need"}, {"model": "bert"}])
def test_other_artifacts_start_none(starts: Starts, detail: Any) -> None:
    starts.module.handler(artifact_event(**detail), None)

    assert starts.started == []


def test_a_dead_execution_is_seen_to_with_what_it_owed(starts: Starts) -> None:
    asked = json.dumps({"trigger": "deploy", "request": REQUEST, "deadline": 5})
    starts.module.handler({"detail": {"name": "request-r1", "status": "ABORTED", "input": asked}}, None)

    ((name, repair),) = starts.started
    assert name == "repair-request-r1"
    assert (repair["trigger"], repair["died"], repair["request"]["RequestId"]) == ("repair", "request-r1", "r1")


def test_a_dead_repair_answers_who_waits_and_starts_nothing(starts: Starts, capsys: Any) -> None:
    asked = json.dumps({"trigger": "repair", "died": "request-r1", "request": REQUEST, "deadline": 5})
    starts.module.handler({"detail": {"name": "repair-request-r1", "status": "FAILED", "input": asked}}, None)

    assert starts.started == []
    assert starts.answers[0]["Status"] == "FAILED"
    assert "secret" not in capsys.readouterr().out


def test_a_repair_of_what_had_not_begun_answers_that_it_died(stack: Releases) -> None:
    asked = {"trigger": "repair", "died": "request-7", "reason": "it was aborted"}
    request = stack.deploy(7, kind="Update")

    stack.run("repair-request-7", {**asked, "request": request["request"], "deadline": 5})

    assert stack.answers[0]["Status"] == "FAILED"
    assert "it was aborted" in stack.answers[0]["Reason"]
    assert outcome(stack) == "released"
