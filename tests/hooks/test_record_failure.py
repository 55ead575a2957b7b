"""Why a compile failed reaches the registry, once, and never over an artifact."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.stub import Stubber

Load = Callable[[str], ModuleType]


def described_job(**more: Any) -> dict[str, str]:
    """The error of a ``.sync`` state: DescribeProcessingJob's answer as text."""
    job = {
        "ProcessingJobName": "job-0",
        "ProcessingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: See job logs for more information",
        "StoppingCondition": {"MaxRuntimeInSeconds": 7200},
        **more,
    }
    return {"Error": "States.TaskFailed", "Cause": json.dumps(job)}


@pytest.fixture
def record(load: Load, aws: Any, compile_input: dict[str, Any]) -> Callable[[dict[str, str]], dict[str, Any]]:
    aws.set(compile_input["key"], state="compiling", attempt="a1", lease_owner="r", lease_expires=9999999999)
    module = load("record_failure")

    def call(error: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = module.handler({"compile": compile_input, "error": error}, None)
        return answer

    return call


@pytest.fixture
def key(compile_input: dict[str, Any]) -> str:
    found: str = compile_input["key"]
    return found


def test_the_jobs_own_words_are_the_reason_and_the_lease_is_free(record: Any, aws: Any, key: str) -> None:
    assert record(described_job(ExitMessage="error: no .onnx file"))["recorded"] is True
    item = aws.item(key)
    assert (item["state"], item["reason"], item["job_name"]) == ("failed", "error: no .onnx file", "job-0")
    assert "lease_owner" not in item
    assert "lease_expires" not in item


def test_the_log_is_linked(record: Any, aws: Any, key: str) -> None:
    record(described_job(ExitMessage="error"))
    assert aws.item(key)["log_url"] == (
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FProcessingJobs$3FlogStreamNameFilter$3Djob-0"
    )


def test_a_job_without_a_message_is_explained_by_the_end_of_its_log(
    record: Any, load: Load, aws: Any, key: str
) -> None:
    group = "/aws/sagemaker/ProcessingJobs"
    with Stubber(load("aws").client("logs")) as logs:
        logs.add_response(
            "describe_log_streams",
            {"logStreams": [{"logStreamName": "job-0/algo-1-1"}]},
            {"logGroupName": group, "logStreamNamePrefix": "job-0/"},
        )
        logs.add_response(
            "get_log_events",
            {"events": [{"message": "Traceback"}, {"message": "MemoryError"}]},
            {"logGroupName": group, "logStreamName": "job-0/algo-1-1", "limit": 40},
        )
        record(described_job())
    assert aws.item(key)["reason"] == "Traceback\nMemoryError"


def test_a_job_that_left_no_word_at_all_has_sagemakers_reason(record: Any, load: Load, aws: Any, key: str) -> None:
    with Stubber(load("aws").client("logs")) as logs:
        logs.add_client_error("describe_log_streams", "ResourceNotFoundException")
        record(described_job(FailureReason="ClientError: image not found"))
    assert aws.item(key)["reason"] == "ClientError: image not found"


@pytest.mark.parametrize("scale", [1000, 1], ids=["milliseconds", "seconds"])
def test_a_job_stopped_at_its_limit_says_the_limit(record: Any, aws: Any, key: str, scale: int) -> None:
    start = 1_800_000_000
    record(
        described_job(
            ProcessingJobStatus="Stopped", ProcessingStartTime=start * scale, ProcessingEndTime=(start + 7201) * scale
        )
    )
    assert aws.item(key)["reason"] == "the compile was stopped at its limit of 120 minutes: raise timeout_minutes"


def test_a_job_stopped_by_hand_says_so(record: Any, aws: Any, key: str) -> None:
    record(
        described_job(ProcessingJobStatus="Stopped", ProcessingStartTime=1_800_000_000, ProcessingEndTime=1_800_000_600)
    )
    assert aws.item(key)["reason"] == "the compile was stopped by hand after 10 of 120 minutes (timeout_minutes)"


def test_a_hook_that_raised_is_quoted(record: Any, aws: Any, key: str) -> None:
    cause = json.dumps({"errorMessage": "batch-1.ort is missing", "errorType": "ArtifactError", "stackTrace": []})
    record({"Error": "ArtifactError", "Cause": cause})
    assert aws.item(key)["reason"] == "batch-1.ort is missing"


def test_a_service_that_refused_is_quoted(record: Any, aws: Any, key: str) -> None:
    record({"Error": "SageMaker.ResourceLimitExceeded", "Cause": "the account-level limit is 0 Instances"})
    assert aws.item(key)["reason"] == "SageMaker.ResourceLimitExceeded: the account-level limit is 0 Instances"


def test_the_same_event_twice_changes_nothing(record: Any, aws: Any, key: str) -> None:
    record(described_job(ExitMessage="error"))
    item = aws.item(key)
    assert record(described_job(ExitMessage="error"))["recorded"] is False
    assert aws.item(key) == item


def test_a_ready_artifact_is_never_overwritten(record: Any, aws: Any, key: str) -> None:
    aws.set(key, state="ready", attempt="a1", artifact_uri="s3://artifacts/x/")
    assert record(described_job(ExitMessage="late"))["recorded"] is False
    assert aws.item(key) == {
        "artifact_key": key,
        "state": "ready",
        "attempt": "a1",
        "artifact_uri": "s3://artifacts/x/",
    }


def test_the_lease_of_a_later_attempt_is_left_alone(record: Any, aws: Any, key: str) -> None:
    aws.set(key, state="compiling", attempt="a2", lease_owner="r2", lease_expires=9999999999)
    assert record(described_job(ExitMessage="late"))["recorded"] is False
    assert aws.item(key)["lease_owner"] == "r2"


class TestDeadExecution:
    """An execution that was aborted or timed out records nothing itself: a rule calls."""

    @pytest.fixture
    def event(self, compile_input: dict[str, Any]) -> dict[str, Any]:
        return {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "name": compile_input["execution_name"],
                "status": "ABORTED",
                "input": json.dumps(compile_input),
                "cause": None,
            },
        }

    def test_it_frees_the_lease(self, record: Any, load: Load, aws: Any, key: str, event: dict[str, Any]) -> None:
        load("record_failure").handler(event, None)
        item = aws.item(key)
        assert item["state"] == "failed"
        assert item["reason"] == f"the compile execution {key[:32]}-a1 ended as ABORTED"

    def test_a_reason_recorded_before_stays(
        self, record: Any, load: Load, aws: Any, key: str, event: dict[str, Any]
    ) -> None:
        record(described_job(ExitMessage="error: not an ONNX model"))
        load("record_failure").handler({**event, "detail": {**event["detail"], "status": "FAILED"}}, None)
        assert aws.item(key)["reason"] == "error: not an ONNX model"
