"""Processing jobs in the embedded AWS run: files in, a process, files out, and the truth about how it went."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.account import IMAGE

Clients = Callable[[str], Any]
Jobs = Callable[..., dict[str, Any]]


@pytest.fixture
def run(client: Clients, job_request: Jobs, finished: Jobs) -> Jobs:
    """Run a script as a job; its description at the end, with its bucket under ``Bucket``."""

    def go(script: str, **more: Any) -> dict[str, Any]:
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        client("s3").create_bucket(Bucket=bucket)
        client("s3").put_object(Bucket=bucket, Key="code/main.py", Body=script)
        client("s3").put_object(Bucket=bucket, Key="code/deep/er.txt", Body="below")
        request = job_request(bucket, **more)
        client("sagemaker").create_processing_job(**request)
        return finished(client, request["ProcessingJobName"]) | {"Bucket": bucket}

    return go


@pytest.fixture
def limits(embedded_aws: EmbeddedAws) -> Iterator[Callable[[dict[str, Any]], None]]:
    def put(wanted: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{embedded_aws.url}/_neuron_cdk/limits", json.dumps(wanted).encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()

    yield put
    put({})


def test_outputs_are_uploaded_when_the_job_has_ended(run: Jobs, client: Clients) -> None:
    ended = run(
        "import os, pathlib\n"
        "root = pathlib.Path(os.environ['NEURON_JOBS_ROOT'])\n"
        "text = (root / 'processing/input/code/deep/er.txt').read_text()\n"
        "(root / 'processing/output/sub').mkdir()\n"
        "(root / 'processing/output/sub/result.txt').write_text(text + os.environ['WORD'])\n",
        Environment={"WORD": " and above"},
    )

    assert ended["ProcessingJobStatus"] == "Completed"
    written = client("s3").get_object(Bucket=ended["Bucket"], Key="out/sub/result.txt")["Body"].read()
    assert written == b"below and above"


def test_paths_of_the_container_lead_to_the_jobs_own_folder(run: Jobs, client: Clients) -> None:
    ended = run(
        "import os\nprint(os.environ['WHERE'], os.environ['ELSEWHERE'])\nopen(os.environ['WHERE'], 'w').write('x')\n",
        Environment={"WHERE": "/opt/ml/processing/output/found", "ELSEWHERE": "/opt/mlstuff:/data/opt/ml"},
    )

    assert client("s3").head_object(Bucket=ended["Bucket"], Key="out/found")
    (stream,) = client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=ended["ProcessingJobName"]
    )["logStreams"]
    (event,) = client("logs").get_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream["logStreamName"]
    )["events"]
    assert event["message"].endswith("/processing/output/found /opt/mlstuff:/data/opt/ml")


def test_a_failed_script_is_told_with_its_message_and_exit_code(run: Jobs) -> None:
    ended = run(
        "import os, pathlib, sys\n"
        "message = pathlib.Path(os.environ['NEURON_JOBS_ROOT'], 'output/message')\n"
        "message.write_text('the model has no nodes')\n"
        "sys.exit(3)\n"
    )

    assert ended["ProcessingJobStatus"] == "Failed"
    assert ended["ExitMessage"] == "the model has no nodes"
    assert ended["FailureReason"] == "AlgorithmError: the model has no nodes, exit code: 3"


def test_a_job_that_runs_too_long_is_stopped_with_everything_it_started(run: Jobs) -> None:
    ended = run(
        "import os, subprocess, signal, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "message = os.path.join(os.environ['NEURON_JOBS_ROOT'], 'output', 'message')\n"
        "open(message, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n",
        StoppingCondition={"MaxRuntimeInSeconds": 1},
    )

    assert ended["ProcessingJobStatus"] == "Stopped"
    assert not _runs(int(ended["ExitMessage"]))


def test_stop_ends_a_running_job(client: Clients, job_request: Jobs, finished: Jobs, eventually: Any) -> None:
    client("s3").create_bucket(Bucket="stopped")
    client("s3").put_object(Bucket="stopped", Key="code/main.py", Body="import time\ntime.sleep(600)")
    request = job_request("stopped")
    name = {"ProcessingJobName": request["ProcessingJobName"]}
    client("sagemaker").create_processing_job(**request)
    eventually(lambda: client("sagemaker").describe_processing_job(**name).get("ProcessingStartTime"))

    client("sagemaker").stop_processing_job(**name)

    assert finished(client, request["ProcessingJobName"])["ProcessingJobStatus"] == "Stopped"


def test_an_image_of_the_neuron_sdk_fails_with_what_would_run(run: Jobs) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training-neuronx:2.9.0"

    ended = run("", AppSpecification={"ImageUri": image, "ContainerEntrypoint": ["python3"]})

    assert ended["ProcessingJobStatus"] == "Failed"
    assert f"cannot run the image {image}" in ended["FailureReason"]


def test_a_missing_input_fails_the_job(client: Clients, job_request: Jobs, finished: Jobs) -> None:
    request = job_request("nobodys-bucket")
    client("sagemaker").create_processing_job(**request)

    ended = finished(client, request["ProcessingJobName"])

    assert ended["ProcessingJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("ClientError: Data download failed:")


def test_a_command_that_does_not_exist_fails_the_job(run: Jobs) -> None:
    ended = run("", AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["no-such-compiler"]})

    assert ended["FailureReason"] == ("AlgorithmError: no-such-compiler: No such file or directory, exit code: 127")


def test_a_key_that_leads_out_of_the_folder_is_not_followed(client: Clients, job_request: Jobs, finished: Jobs) -> None:
    client("s3").create_bucket(Bucket="leading-out")
    client("s3").put_object(Bucket="leading-out", Key="code/../../../../evil", Body="x")
    request = job_request("leading-out")
    client("sagemaker").create_processing_job(**request)

    assert "leads out of the folder" in finished(client, request["ProcessingJobName"])["FailureReason"]


def test_a_quota_of_zero_is_refused_at_once(client: Clients, job_request: Jobs, limits: Any, code_of: Any) -> None:
    limits({"quotas": {"ml.m5.large": 0}})

    refused = code_of(client("sagemaker").create_processing_job, **job_request("anybody"))

    assert refused.code == "ResourceLimitExceeded"
    assert "'ml.m5.large for processing job usage' is 0 Instances" in refused.message


def test_capacity_that_is_short_fails_the_job(run: Jobs, limits: Any) -> None:
    limits({"short": ["ml.m5.large"]})

    assert run("")["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity.")


def _preferring(*types: str) -> dict[str, Any]:
    preferences = [{"InstanceType": name, "InstanceCount": 1} for name in types]
    return {"ProcessingResources": {"ClusterConfig": {"InstancePreferences": preferences, "VolumeSizeInGB": 10}}}


@pytest.mark.parametrize(
    ("limited", "chosen"),
    [
        ({}, "ml.m5.large"),
        ({"short": ["ml.m5.large"]}, "ml.m7i.large"),
        ({"quotas": {"ml.m5.large": 0}}, "ml.m7i.large"),
    ],
    ids=["all there", "short", "no quota"],
)
def test_of_several_types_the_first_that_can_be_had_is_told(run: Jobs, limits: Any, limited: Any, chosen: str) -> None:
    limits(limited)
    ended = run("", **_preferring("ml.m5.large", "ml.m7i.large"))
    cluster = ended["ProcessingResources"]["ClusterConfig"]
    assert (ended["ProcessingJobStatus"], cluster["SelectedInstanceType"]) == ("Completed", chosen)


def test_several_types_none_of_which_can_be_had_fail_the_job(run: Jobs, limits: Any) -> None:
    limits({"short": ["ml.m5.large", "ml.m7i.large"]})
    assert run("", **_preferring("ml.m5.large", "ml.m7i.large"))["FailureReason"].startswith("CapacityError")


def test_a_type_and_preferences_exclude_each_other(client: Clients, job_request: Jobs, code_of: Any) -> None:
    both = _preferring("ml.m5.large")
    both["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "ml.m5.large"
    error = code_of(client("sagemaker").create_processing_job, **job_request("bucket", **both))
    assert error.code == "ValidationException"


def test_a_name_is_taken_once(client: Clients, job_request: Jobs, code_of: Any) -> None:
    request = job_request("nobodys-bucket")
    client("sagemaker").create_processing_job(**request)

    assert code_of(client("sagemaker").create_processing_job, **request).code == "ResourceInUse"


def test_an_unknown_job_is_not_found(client: Clients, code_of: Any) -> None:
    unknown = code_of(client("sagemaker").describe_processing_job, ProcessingJobName="nobody")

    assert (unknown.code, unknown.message) == ("ResourceNotFound", "Could not find requested job with name: nobody")


def test_jobs_are_listed_newest_first_a_page_at_a_time(client: Clients, job_request: Jobs) -> None:
    names = []
    for _ in range(3):
        request = job_request("nobodys-bucket")
        request["ProcessingJobName"] = f"listed-{request['ProcessingJobName']}"
        client("sagemaker").create_processing_job(**request)
        names.append(request["ProcessingJobName"])

    pages = (
        client("sagemaker")
        .get_paginator("list_processing_jobs")
        .paginate(NameContains="listed-", PaginationConfig={"PageSize": 2})
    )

    assert [[job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] for page in pages] == [
        [names[2], names[1]],
        [names[0]],
    ]


def _runs(pid: int) -> bool:
    """Whether the process is there and not a zombie that its parent has yet to collect."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
