"""The function behind the custom resource: starts a request execution, or answers itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

Load = Callable[[str], ModuleType]
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:request"


@pytest.fixture
def states(load: Load) -> Iterator[Stubber]:
    with Stubber(load("aws").client("stepfunctions")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def started(states: Stubber, event: dict[str, Any], **expected: Any) -> None:
    states.add_response(
        "start_execution",
        {"executionArn": "arn", "startDate": 0},
        {"stateMachineArn": ARN, "name": f"request-{event['RequestId']}", "input": ANY, **expected},
    )


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_request_starts_one_execution_named_after_it(
    load: Load, states: Stubber, request_event: dict[str, Any], inbox: Any, kind: str
) -> None:
    started(states, request_event)
    load("compile.compiled_model").handler({**request_event, "RequestType": kind}, None)
    assert inbox.answers == []


def test_the_execution_gets_the_request_the_model_and_a_deadline(
    load: Load, states: Stubber, request_event: dict[str, Any], model: dict[str, Any]
) -> None:
    given: list[dict[str, Any]] = []
    load("aws").client("stepfunctions").meta.events.register(
        "provide-client-params.sfn.StartExecution", lambda params, **_: given.append(json.loads(params["input"]))
    )
    started(states, request_event)
    load("compile.compiled_model").handler(request_event, None)
    (document,) = given
    assert (document["model"], document["trigger"], document["force"]) == (model, "deploy", False)
    assert document["poll_seconds"] == 15
    assert document["deadline"] - time.time() == pytest.approx(3300, abs=30)
    assert document["request"]["ResponseURL"] == request_event["ResponseURL"]


def test_a_request_delivered_twice_is_started_once(
    load: Load, states: Stubber, request_event: dict[str, Any], inbox: Any, decisions: Any
) -> None:
    started(states, request_event)
    states.add_client_error("start_execution", "ExecutionAlreadyExists")
    for _ in range(2):
        load("compile.compiled_model").handler(request_event, None)
    assert [line["decision"] for line in decisions()] == ["started", "started before"]
    assert inbox.answers == []


class TestDelete:
    STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/models/guid"

    @pytest.fixture
    def delete(self, load: Load, request_event: dict[str, Any], inbox: Any) -> Callable[[str], dict[str, Any]]:
        def call(key: str) -> dict[str, Any]:
            load("compile.compiled_model").handler(
                {**request_event, "RequestType": "Delete", "PhysicalResourceId": key}, None
            )
            answered: dict[str, Any] = inbox.answers[-1]
            return answered

        return call

    @pytest.fixture
    def users(self, load: Load, aws: Any) -> Callable[..., None]:
        """Make a resource have the artifact of a key."""

        def use(key: str, resource: str) -> None:
            registry = load("registry")
            if not aws.item(key):
                aws.set(key, state="ready", attempt="a1")
            load("aws").update_item(registry.use("registry", key, resource, 1))
            load("aws").update_item(registry.declare("registry", "minilm", document="{}", user=f"{resource}|{key}"))

        return use

    def test_it_takes_out_its_own_resource_and_no_other(self, delete: Any, users: Any, aws: Any) -> None:
        users("k1", f"{self.STACK}|Minilm")
        users("k1", f"{self.STACK}|Other")
        for _ in range(2):
            answered = delete("k1")
            assert (answered["Status"], answered["PhysicalResourceId"]) == ("SUCCESS", "k1")
        assert aws.item("k1")["used_by"] == [f"{self.STACK}|Other"]
        assert aws.item("model#minilm")["users"] == [f"{self.STACK}|Other|k1"]

    def test_a_new_version_that_is_rolled_back_leaves_the_old_one_its_user(
        self, delete: Any, users: Any, aws: Any
    ) -> None:
        users("old", f"{self.STACK}|Minilm")
        users("new", f"{self.STACK}|Minilm")
        delete("new")
        assert "used_by" not in aws.item("new")
        assert aws.item("old")["used_by"] == [f"{self.STACK}|Minilm"]
        assert aws.item("model#minilm")["users"] == [f"{self.STACK}|Minilm|old"]

    def test_the_model_is_still_known_by_name_when_nobody_has_it(self, delete: Any, users: Any, aws: Any) -> None:
        users("k1", f"{self.STACK}|Minilm")
        delete("k1")
        assert aws.item("model#minilm")["document"] == "{}"

    def test_what_was_never_made_is_deleted_and_leaves_nothing(self, delete: Any, aws: Any) -> None:
        assert delete("none-0f7a")["Status"] == "SUCCESS"
        assert aws.item("none-0f7a") == {}

    def test_it_succeeds_though_the_registry_cannot_be_written(
        self, delete: Any, load: Load, monkeypatch: pytest.MonkeyPatch, decisions: Any
    ) -> None:
        def broken(_: Any) -> bool:
            raise RuntimeError("throttled")

        monkeypatch.setattr(load("aws"), "update_item", broken)
        assert delete("k1")["Status"] == "SUCCESS"
        assert [line["error"] for line in decisions()] == ["RuntimeError: throttled"]

    @pytest.mark.parametrize(("refusals", "left"), [(3, False), (4, True)])
    def test_one_that_is_throttled_is_tried_four_times_and_succeeds(
        self,
        delete: Any,
        users: Any,
        aws: Any,
        load: Load,
        monkeypatch: pytest.MonkeyPatch,
        refusals: int,
        left: bool,
    ) -> None:
        """CloudFormation does not call again after an answer: what is not done by then stays undone."""
        users("k1", f"{self.STACK}|Minilm")
        busy = ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "UpdateItem")
        answers, write = [busy] * refusals, load("aws").update_item

        def throttled(request: Any) -> Any:
            if answers:
                raise answers.pop()
            return write(request)

        pauses: list[float] = []
        monkeypatch.setattr(load("aws"), "update_item", throttled)
        monkeypatch.setattr(time, "sleep", pauses.append)
        assert delete("k1")["Status"] == "SUCCESS"
        assert ("used_by" in aws.item("k1")) is left
        assert pauses == [2, 5, 10]

    def test_one_that_is_throttled_is_answered_before_the_function_ends(
        self, delete: Any, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Within boto3 each try may take its time."""
        clock = [0.0]

        def slow(_request: Any) -> bool:
            clock[0] += 15
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "UpdateItem")

        def sleep(seconds: float) -> None:
            clock[0] += seconds

        monkeypatch.setattr(load("aws"), "update_item", slow)
        monkeypatch.setattr(load("aws"), "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
        assert delete("k1")["Status"] == "SUCCESS"
        assert clock[0] < 60


def test_properties_that_cannot_be_read_fail_the_resource_at_once(
    load: Load, states: Stubber, request_event: dict[str, Any], model: dict[str, Any], inbox: Any
) -> None:
    model["TimeoutMinutes"] = "soon"
    load("compile.compiled_model").handler(request_event, None)
    (answer,) = inbox.answers
    assert answer["Status"] == "FAILED"
    assert "TimeoutMinutes must be a whole number from 1, not 'soon'" in answer["Reason"]


def test_a_machine_that_cannot_be_started_fails_the_resource_at_once(
    load: Load, states: Stubber, request_event: dict[str, Any], inbox: Any
) -> None:
    states.add_client_error("start_execution", "AccessDeniedException", "not authorized")
    load("compile.compiled_model").handler(request_event, None)
    assert "AccessDeniedException" in inbox.answers[0]["Reason"]


def test_no_log_line_shows_the_presigned_address(
    load: Load, states: Stubber, request_event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    started(states, request_event)
    load("compile.compiled_model").handler(request_event, None)
    assert "signature" not in capsys.readouterr().out
