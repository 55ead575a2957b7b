"""The function behind the custom resource: starts a request execution, or answers itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
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
    load("compiled_model").handler({**request_event, "RequestType": kind}, None)
    assert inbox.answers == []


def test_the_execution_gets_the_request_the_model_and_a_deadline(
    load: Load, states: Stubber, request_event: dict[str, Any], model: dict[str, Any]
) -> None:
    given: list[dict[str, Any]] = []
    load("aws").client("stepfunctions").meta.events.register(
        "provide-client-params.sfn.StartExecution", lambda params, **_: given.append(json.loads(params["input"]))
    )
    started(states, request_event)
    load("compiled_model").handler(request_event, None)
    (document,) = given
    assert document["model"] == model
    assert document["poll_seconds"] == 15
    assert document["deadline"] - time.time() == pytest.approx(3300, abs=30)
    assert document["request"]["ResponseURL"] == request_event["ResponseURL"]


def test_a_request_delivered_twice_is_started_once(
    load: Load, states: Stubber, request_event: dict[str, Any], inbox: Any, decisions: Any
) -> None:
    started(states, request_event)
    states.add_client_error("start_execution", "ExecutionAlreadyExists")
    for _ in range(2):
        load("compiled_model").handler(request_event, None)
    assert [line["decision"] for line in decisions()] == ["started", "started before"]
    assert inbox.answers == []


def test_a_delete_succeeds_and_touches_nothing(
    load: Load, states: Stubber, request_event: dict[str, Any], inbox: Any
) -> None:
    event = {**request_event, "RequestType": "Delete", "PhysicalResourceId": "some-key"}
    load("compiled_model").handler(event, None)
    load("compiled_model").handler(event, None)
    assert [(answer["Status"], answer["PhysicalResourceId"]) for answer in inbox.answers] == [
        ("SUCCESS", "some-key")
    ] * 2


def test_properties_that_cannot_be_read_fail_the_resource_at_once(
    load: Load, states: Stubber, request_event: dict[str, Any], model: dict[str, Any], inbox: Any
) -> None:
    model["TimeoutMinutes"] = "soon"
    load("compiled_model").handler(request_event, None)
    (answer,) = inbox.answers
    assert answer["Status"] == "FAILED"
    assert "TimeoutMinutes must be a whole number from 1, not 'soon'" in answer["Reason"]


def test_a_machine_that_cannot_be_started_fails_the_resource_at_once(
    load: Load, states: Stubber, request_event: dict[str, Any], inbox: Any
) -> None:
    states.add_client_error("start_execution", "AccessDeniedException", "not authorized")
    load("compiled_model").handler(request_event, None)
    assert "AccessDeniedException" in inbox.answers[0]["Reason"]


def test_no_log_line_shows_the_presigned_address(
    load: Load, states: Stubber, request_event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    started(states, request_event)
    load("compiled_model").handler(request_event, None)
    assert "signature" not in capsys.readouterr().out
