"""Every way a request can end becomes one answer that CloudFormation takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
READY = {
    "status": "ready",
    "key": "ab" * 32,
    "artifact_uri": "s3://artifacts/x/",
    "sdk": "2.31.1",
    "compile_seconds": 42.5,
    "cache": "miss",
}


@pytest.fixture
def answer(
    load: Load, aws: Any, request_event: dict[str, Any], model: dict[str, Any], inbox: Any
) -> Callable[..., dict[str, Any]]:
    aws.set("ab" * 32, state="ready", attempt="a1")

    def call(outcome: dict[str, Any], **changed: str) -> dict[str, Any]:
        event = {"request": {**request_event, **changed}, "model": model, "outcome": outcome}
        load("compile.answer_cloudformation").handler(event, None)
        delivered: dict[str, Any] = inbox.answers[-1]
        return delivered

    return call


def test_an_artifact_gives_the_resource_its_attributes(answer: Any, request_event: dict[str, Any]) -> None:
    assert answer(READY) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "ab" * 32,
        "StackId": request_event["StackId"],
        "RequestId": request_event["RequestId"],
        "LogicalResourceId": "Minilm",
        "Data": {
            "ArtifactKey": "ab" * 32,
            "ArtifactUri": "s3://artifacts/x/",
            "Cache": "miss",
            "Sdk": "2.31.1",
            "CompileSeconds": "42.5",
        },
    }


def test_the_same_event_twice_gives_the_same_answer(answer: Any) -> None:
    assert answer(READY) == answer(READY)


def test_the_presigned_address_gets_no_content_type(answer: Any, inbox: Any) -> None:
    answer(READY)
    assert inbox.content_types == [""]


def test_a_failed_compile_says_why_and_where_to_read_more(answer: Any) -> None:
    delivered = answer(
        {"status": "failed", "key": "k", "reason": "line 1\nerror: not an ONNX model", "log_url": "https://log"}
    )
    assert delivered["Status"] == "FAILED"
    assert delivered["Reason"] == "The compile failed:\nline 1\nerror: not an ONNX model\nLog: https://log"


@pytest.mark.parametrize(
    "character", ["x", "\n", '"', "é", "\U0001f600"], ids=["plain", "newline", "quote", "é", "emoji"]
)
def test_a_long_log_is_shortened_from_the_front_to_what_cloudformation_reads(
    answer: Any, inbox: Any, character: str
) -> None:
    delivered = answer(
        {"status": "failed", "key": "k", "reason": character * 9000 + "the end", "log_url": "https://log"}
    )
    assert len(inbox.bodies[-1]) <= 4096
    assert delivered["Reason"].startswith("The compile failed:\n…")
    assert delivered["Reason"].endswith("the end\nLog: https://log")
    # Shortened, not thrown away: what is left is most of what fits.
    assert len(inbox.bodies[-1]) > 3500


def test_a_compile_that_goes_on_says_how_to_join_it(answer: Any) -> None:
    delivered = answer({"status": "running", "key": "k", "execution": "abcd-a1"})
    assert (delivered["Status"], delivered["Reason"]) == (
        "FAILED",
        "still running: execution abcd-a1; deploy again to join it",
    )


def test_a_step_that_failed_is_quoted(answer: Any) -> None:
    cause = json.dumps({"errorType": "SourceError", "errorMessage": "there is no object under s3://models/minilm/"})
    delivered = answer({"status": "error", "state": "Begin", "error": {"Error": "SourceError", "Cause": cause}})
    assert delivered["Reason"] == "The request failed:\nthere is no object under s3://models/minilm/ (in state Begin)"


def test_a_failed_update_keeps_the_resource_it_was(answer: Any) -> None:
    delivered = answer(
        {"status": "failed", "key": "new", "reason": "r", "log_url": ""}, RequestType="Update", PhysicalResourceId="old"
    )
    assert delivered["PhysicalResourceId"] == "old"


def test_an_update_to_another_artifact_replaces_the_resource(answer: Any) -> None:
    assert answer(READY, RequestType="Update", PhysicalResourceId="old")["PhysicalResourceId"] == "ab" * 32


def test_a_create_that_failed_early_has_an_id_all_the_same(answer: Any, request_event: dict[str, Any]) -> None:
    delivered = answer({"status": "error", "state": "Begin", "error": {"Error": "E", "Cause": "c"}})
    assert delivered["PhysicalResourceId"] == f"none-{request_event['RequestId']}"


class TestUsers:
    """The registry knows who has an artifact before CloudFormation does."""

    USER = "arn:aws:cloudformation:us-east-1:123456789012:stack/models/guid|Minilm"

    def test_the_resource_is_a_user_of_the_artifact_and_of_its_model(
        self, answer: Any, aws: Any, model: dict[str, Any]
    ) -> None:
        answer(READY)
        declared = aws.item("model#minilm")
        assert aws.item("ab" * 32)["used_by"] == [self.USER]
        assert declared["users"] == [f"{self.USER}|{'ab' * 32}"]
        assert json.loads(declared["document"]) == model

    def test_the_same_event_twice_makes_one_user(self, answer: Any, aws: Any) -> None:
        answer(READY)
        answer(READY)
        assert aws.item("ab" * 32)["used_by"] == [self.USER]
        assert len(aws.item("model#minilm")["users"]) == 1

    def test_a_model_that_failed_is_known_by_name_and_has_no_user(
        self, answer: Any, aws: Any, model: dict[str, Any]
    ) -> None:
        answer({"status": "failed", "key": "k", "reason": "r", "log_url": ""})
        declared = aws.item("model#minilm")
        assert json.loads(declared["document"]) == model
        assert "users" not in declared

    def test_nothing_is_answered_that_housekeeping_has_taken(
        self, answer: Any, load: Load, aws: Any, inbox: Any
    ) -> None:
        aws.set("ab" * 32, state="retiring", attempt="a1")
        with pytest.raises(load("compile.answer_cloudformation").NoLongerThereError):
            answer(READY)
        assert inbox.answers == []


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_a_rule_speaks_for_an_execution_that_died(
    load: Load, request_event: dict[str, Any], inbox: Any, status: str
) -> None:
    document = json.dumps({"request": request_event, "model": {}})
    event = {"detail": {"name": "request-0f7a", "status": status, "input": document}}
    load("compile.answer_cloudformation").handler(event, None)
    (delivered,) = inbox.answers
    assert delivered["Status"] == "FAILED"
    assert delivered["Reason"] == f"the request execution request-0f7a ended as {status}; deploy again to ask anew"


def test_a_rule_answers_nobody_for_an_execution_that_nobody_waits_for(load: Load, inbox: Any) -> None:
    event = {"detail": {"name": "person-1", "status": "ABORTED", "input": json.dumps({"model": {}})}}
    load("compile.answer_cloudformation").handler(event, None)
    assert inbox.answers == []


class TestDelivery:
    @pytest.fixture
    def deliver(self, load: Load, request_event: dict[str, Any]) -> Callable[..., None]:
        module = load("cloudformation")

        def call(**changed: str) -> None:
            module.deliver(module.parse({**request_event, **changed}), b"{}", pause_seconds=0)

        return call

    def test_what_may_pass_is_tried_again(self, deliver: Any, inbox: Any) -> None:
        inbox.failures = [500, 503, 429]
        deliver()
        assert inbox.answers == [{}]

    def test_a_refusal_is_not_tried_again(self, deliver: Any, load: Load, inbox: Any) -> None:
        inbox.failures = [403, 403]
        with pytest.raises(load("cloudformation").AnswerError, match="did not take the answer for Minilm: HTTP 403"):
            deliver()
        assert inbox.failures == [403]

    def test_it_gives_up_in_the_end(self, deliver: Any, load: Load, inbox: Any) -> None:
        inbox.failures = [500] * 9
        with pytest.raises(load("cloudformation").AnswerError, match="HTTP 500"):
            deliver()
        assert len(inbox.failures) == 4

    @pytest.mark.parametrize("url", ["http://example.com/x?y", "file:///etc/passwd", "ftp://example.com/"])
    def test_it_goes_over_tls_or_nowhere(self, deliver: Any, load: Load, url: str) -> None:
        with pytest.raises(load("cloudformation").AnswerError, match="not https"):
            deliver(ResponseURL=url)
