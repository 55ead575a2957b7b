"""Why a compile failed reaches the registry, once, and never over an artifact."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

import pytest
from botocore.stub import Stubber

from neuron_jobs import memory

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
    module = load("compile.record_failure")

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


class TestFinal:
    """What is remembered, and what is tried again by whoever asks next."""

    @pytest.mark.parametrize(
        ("error", "final"),
        [
            (described_job(ExitMessage="operator Foo is not supported"), True),
            (described_job(FailureReason="AlgorithmError: , exit code: 137", ExitMessage="Killed"), True),
            (described_job(ExitMessage=f"Traceback\n{memory.TOO_LITTLE}"), True),
            ({"Error": "ArtifactError", "Cause": json.dumps({"errorMessage": "batch-1.ort is missing"})}, True),
            (described_job(FailureReason="CapacityError: Unable to provision", ExitMessage=""), False),
            (described_job(FailureReason="InternalServerError: We encountered an internal error."), False),
            (described_job(FailureReason="ClientError: image not found"), False),
            (described_job(ProcessingJobStatus="Stopped", ProcessingStartTime=1, ProcessingEndTime=60), False),
            (described_job(ProcessingJobStatus="Stopped", ProcessingStartTime=1, ProcessingEndTime=7202), True),
            ({"Error": "SageMaker.AmazonSageMakerException", "Cause": "Rate exceeded (ThrottlingException)"}, False),
            ({"Error": "SageMaker.ResourceLimitExceededException", "Cause": "the limit is 0 Instances"}, False),
            (
                {
                    "Error": "States.TaskFailed",
                    "Cause": json.dumps({"ExecutionArn": "arn:x", "Status": "ABORTED", "Input": "{}"}),
                },
                False,
            ),
        ],
        ids=[
            *(
                "container",
                "too small",
                "compiler killed",
                "artifact",
                "capacity",
                "lost host",
                "image",
                "stopped by hand",
                "time limit",
            ),
            *("throttled", "quota", "try stopped by hand"),
        ],
    )
    def test_only_what_would_fail_again_is_final(
        self, record: Any, load: Load, aws: Any, key: str, error: dict[str, str], final: bool
    ) -> None:
        with Stubber(load("aws").client("logs")) as logs:
            logs.add_client_error("describe_log_streams", "ResourceNotFoundException")
            record(error)
        assert aws.item(key)["final"] is final

    def test_a_time_limit_is_remembered_with_its_minutes(self, record: Any, aws: Any, key: str) -> None:
        record(described_job(ProcessingJobStatus="Stopped", ProcessingStartTime=1, ProcessingEndTime=7202))
        assert aws.item(key)["failed_minutes"] == "120"

    def test_a_mirror_that_failed_is_fetched_again_by_whoever_asks_next(
        self, load: Load, record: Any, aws: Any, key: str, compile_input: Any
    ) -> None:
        error = described_job(ExitMessage="error: org/minilm is gated, and the hub does not let us in: give token")
        load("compile.record_failure").handler({"compile": {**compile_input, "engine": "mirror"}, "error": error}, None)
        assert aws.item(key)["state"] == "failed"
        assert aws.item(key)["final"] is False

    def test_a_dead_execution_is_not_final(
        self, load: Load, record: Any, aws: Any, key: str, compile_input: Any
    ) -> None:
        detail = {"name": "n", "status": "ABORTED", "input": json.dumps(compile_input)}
        load("compile.record_failure").handler({"detail": detail}, None)
        assert aws.item(key)["final"] is False


class TestCost:
    ON_HOST: ClassVar = {
        "ExitMessage": "error",
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    }

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (1_800_000_000_000, 1_800_001_800_000),
            (1_800_000_000, 1_800_001_800),
            ("2027-01-15T08:00:00Z", "2027-01-15T08:30:00Z"),
        ],
        ids=["milliseconds", "seconds", "text"],
    )
    def test_a_failed_compile_costs_what_its_host_does(
        self, record: Any, aws: Any, key: str, start: Any, end: Any
    ) -> None:
        record(described_job(**self.ON_HOST, ProcessingStartTime=start, ProcessingEndTime=end))
        assert (aws.item(key)["host"], aws.item(key)["usd"]) == ("ml.m5.large", "0.0575")

    def test_a_cost_without_a_price_is_left_out(self, record: Any, aws: Any, key: str) -> None:
        job = {**self.ON_HOST, "ProcessingResources": {"ClusterConfig": {"SelectedInstanceType": "ml.m5.xlarge"}}}
        record(described_job(**job, ProcessingStartTime=1, ProcessingEndTime=1801))
        assert aws.item(key)["host"] == "ml.m5.xlarge"
        assert "usd" not in aws.item(key)


class TestAnotherTry:
    @pytest.fixture
    def consider(self, load: Load, record: Any, compile_input: dict[str, Any]) -> Callable[..., dict[str, Any]]:
        def call(error: dict[str, str], **changed: Any) -> dict[str, Any]:
            plan = load("compile.tries").first([host["type"] for host in compile_input["hosts"]])
            event = {"compile": {**compile_input, **changed}, "error": error, "plan": plan}
            answer: dict[str, Any] = load("compile.record_failure").handler(event, None)
            return answer

        return call

    def test_what_may_pass_is_tried_again_and_nothing_is_recorded(self, consider: Any, aws: Any, key: str) -> None:
        item = aws.item(key)
        answer = consider(described_job(FailureReason="InternalServerError: try again"))
        assert (answer["again"], answer["plan"]["number"], answer["wait_seconds"]) == (True, 1, 30)
        assert aws.item(key) == item

    def test_a_failed_container_is_not(self, consider: Any, aws: Any, key: str) -> None:
        assert consider(described_job(ExitMessage="error"))["again"] is False
        assert aws.item(key)["state"] == "failed"

    @pytest.mark.parametrize(
        "job",
        [
            {"FailureReason": "AlgorithmError: , exit code: 137", "ExitMessage": "Killed"},
            {"FailureReason": "AlgorithmError: use an instance type with more memory"},
            {"ExitMessage": f"RuntimeError: neuronx-cc failed with -9\n{memory.TOO_LITTLE}"},
        ],
        ids=["container", "SageMaker", "compiler"],
    )
    def test_what_ran_out_of_memory_is_tried_on_a_larger_host(self, consider: Any, job: dict[str, str]) -> None:
        on = {"ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large"}}}
        answer = consider(described_job(**job, **on))
        assert answer["plan"]["cluster"]["InstanceType"] == "ml.m5.xlarge"

    def test_no_try_begins_that_would_outlive_its_lease(self, consider: Any, aws: Any, key: str) -> None:
        answer = consider(described_job(FailureReason="CapacityError: none"), start_by=1)
        assert answer["again"] is False
        assert aws.item(key)["final"] is False

    @pytest.mark.parametrize(
        "error",
        [
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps({"ExecutionArn": "arn:x", "Status": "FAILED", "Error": "States.Runtime"}),
            },
            {
                "Error": "SageMaker.AmazonSageMakerException",
                "Cause": "ClusterConfig must have InstanceType (Error Code: ValidationException)",
            },
        ],
        ids=["Step Functions", "SageMaker"],
    )
    def test_where_preferences_are_not_known_each_type_is_tried_alone(
        self, consider: Any, error: dict[str, str]
    ) -> None:
        assert consider(error)["plan"]["cluster"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}


class TestWhatIsPaidFor:
    """Where no price of the host is known, the seconds that are billed say what it cost."""

    RAN: ClassVar[dict[str, Any]] = {
        "ProcessingJobName": "job-1",
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.xlarge"}},
        "ProcessingStartTime": 1_800_000_000_000,
        "ProcessingEndTime": 1_800_000_060_000,
    }

    def test_it_is_the_time_of_all_tries(
        self, load: Load, record: Any, compile_input: dict[str, Any], aws: Any
    ) -> None:
        hook, plan = (
            load("compile.record_failure"),
            load("compile.tries").first([host["type"] for host in compile_input["hosts"]]),
        )
        lost = described_job(**self.RAN, FailureReason="InternalServerError: try again")
        plan = hook.handler({"compile": compile_input, "error": lost, "plan": plan}, None)["plan"]
        hook.handler(
            {"compile": compile_input, "error": described_job(**self.RAN, ExitMessage="no"), "plan": plan}, None
        )
        item = aws.item(compile_input["key"])
        assert (item["host"], item["job_seconds"]) == ("ml.m5.xlarge", "120.0")
        assert "usd" not in item

    def test_a_job_whose_output_was_refused_was_paid_for_too(
        self, load: Load, record: Any, compile_input: dict[str, Any], aws: Any
    ) -> None:
        refused = {"Error": "ArtifactError", "Cause": json.dumps({"errorMessage": "batch-1.ort is missing"})}
        event = {"compile": compile_input, "error": refused, "tried": {"usd": 0.5, "job_seconds": 40.0}}
        answer = load("compile.record_failure").handler({**event, "job": self.RAN}, None)
        item = aws.item(compile_input["key"])
        assert answer["again"] is False
        assert (item["reason"], item["job_name"]) == ("batch-1.ort is missing", "job-1")
        assert (item["host"], item["job_seconds"]) == ("ml.m5.xlarge", "100.0")

    def test_what_never_ran_has_no_time(self, record: Any, aws: Any, key: str) -> None:
        record({"Error": "SageMaker.ResourceLimitExceeded", "Cause": "the account-level limit is 0 Instances"})
        assert "job_seconds" not in aws.item(key)

    def test_parts_that_could_not_be_joined_ran_no_job(
        self, load: Load, record: Any, compile_input: dict[str, Any], aws: Any
    ) -> None:
        refused = {"Error": "ArtifactError", "Cause": json.dumps({"errorMessage": "batch-1.ort is missing"})}
        event = {"compile": compile_input, "error": refused, "tried": {}, "job": {}}
        load("compile.record_failure").handler(event, None)
        assert not {"job_seconds", "host", "usd"} & aws.item(compile_input["key"]).keys()


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
        load("compile.record_failure").handler(event, None)
        item = aws.item(key)
        assert item["state"] == "failed"
        assert item["reason"] == f"the compile execution {key[:32]}-a1 ended as ABORTED"

    def test_a_reason_recorded_before_stays(
        self, record: Any, load: Load, aws: Any, key: str, event: dict[str, Any]
    ) -> None:
        record(described_job(ExitMessage="error: not an ONNX model"))
        load("compile.record_failure").handler({**event, "detail": {**event["detail"], "status": "FAILED"}}, None)
        assert aws.item(key)["reason"] == "error: not an ONNX model"
