"""The whole platform on the embedded AWS, deployed by the CDK's command line as ``make deploy-local`` does; and faults.

Nothing here is a stand-in but AWS itself: a real model, compiled by the pipeline's job, served by a process.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")
SOURCE_BUCKET, SOURCE_KEY = "neuron-cdk-models", "magika/model.onnx"


@dataclass
class Platform:
    """One state folder, and the command that deploys to it."""

    state: Path
    clients_of: Any

    @property
    def aws(self) -> EmbeddedAws:
        return EmbeddedAws(self.state)

    def client(self, service: str) -> Any:
        return self.clients_of(self.aws)(service)

    def start(self, file: Path, requests: int = 8) -> subprocess.Popen[str]:
        """Begin a deploy, in a session of its own as a shell's job has one."""
        words = ["--state", self.state, "--port", "0", "--requests", str(requests), "--json"]
        return subprocess.Popen(
            [COMMAND, "local", "deploy", file, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def deploy(self, file: Path = ROOT / "deployments" / "local.yaml", requests: int = 8) -> dict[str, Any]:
        process = self.start(file, requests)
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
        report: dict[str, Any] = json.loads(out)
        return report

    def failing(self, file: Path) -> str:
        process = self.start(file)
        _, err = process.communicate(timeout=900)
        assert process.returncode == 1, err
        return err

    def variant(self, *changes: tuple[str, str]) -> Path:
        """``local.yaml`` with some of its text replaced (old, new), in a file of its own."""
        text = (ROOT / "deployments" / "local.yaml").read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        file = self.state / "variant.yaml"
        file.write_text(text)
        return file

    def jobs(self) -> list[str]:
        found = self.client("sagemaker").list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        return sorted(job["ProcessingJobName"] for job in found)

    def manifest(self, report: dict[str, Any]) -> dict[str, Any]:
        """What a report's artifact says of itself."""
        bucket, _, prefix = report["models"]["magika"]["artifact_uri"].removeprefix("s3://").partition("/")
        content = self.client("s3").get_object(Bucket=bucket, Key=f"{prefix}manifest.json")["Body"].read()
        document: dict[str, Any] = json.loads(content)
        return document

    def model(self) -> dict[str, Any]:
        """The deployed model's properties, as CloudFormation gave them to the pipeline."""
        (table,) = self.client("dynamodb").list_tables()["TableNames"]
        key = {"artifact_key": {"S": "model#magika"}}
        item = self.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
        document: dict[str, Any] = json.loads(item["document"]["S"])
        return document

    def start_request(self, **more: Any) -> str:
        """Start the request machine; the execution's ARN."""
        outputs = self.client("cloudformation").describe_stacks(StackName="local-Pipeline")["Stacks"][0]["Outputs"]
        machine = next(output["OutputValue"] for output in outputs if output["OutputKey"] == "RequestMachine")
        asked = {"deadline": int(time.time()) + 600, "poll_seconds": 1, **more}
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(asked))
        return str(started["executionArn"])

    def obtain(self, *, force: bool = False, **changed: Any) -> dict[str, Any]:
        """Ask for the deployed model with other properties, as a person does; the outcome."""
        arn = self.start_request(model={**self.model(), **changed}, trigger="person", force=force)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            described = self.client("stepfunctions").describe_execution(executionArn=arn)
            if described["status"] != "RUNNING":
                outcome: dict[str, Any] = json.loads(described["output"])
                return outcome
            time.sleep(0.2)
        raise AssertionError(f"{arn} does not end")

    def request(self, address: str, eventually: Any) -> list[str]:
        """Ask for the deployed model as CloudFormation does; the states it took."""
        request = {
            "RequestType": "Create",
            "RequestId": uuid.uuid4().hex,
            "ResponseURL": address,
            "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/some/1",
            "LogicalResourceId": "Model",
        }
        arn = {"executionArn": self.start_request(model=self.model(), request=request)}
        steps = self.client("stepfunctions")
        eventually(lambda: steps.describe_execution(**arn)["status"] == "SUCCEEDED")
        events = steps.get_execution_history(**arn, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    def invoke(self, report: dict[str, Any], content: bytes) -> str:
        """The type that the deployed endpoint gives a file."""
        sample = Sample()
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=report["endpoints"]["filetype"]["endpoint_name"],
            ContentType="application/json",
            Body=json.dumps({"inputs": {"bytes": [sample.features(content)]}}),
        )
        return sample.label(json.loads(answer["Body"].read())["outputs"]["target_label"][0])


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, clients_of: Any) -> Iterator[Platform]:
    made = Platform(tmp_path_factory.mktemp("platform"), clients_of)
    yield made
    made.aws.down(delete_state=True)


@pytest.fixture(scope="module")
def first(platform: Platform) -> dict[str, Any]:
    """The report of the first deploy."""
    return platform.deploy(requests=200)


def test_every_stack_of_the_file_is_deployed(first, platform):
    assert {stack["name"] for stack in first["stacks"]} == {
        "local-Artifacts",
        "local-Network",
        "local-Pipeline",
        "local-Fleet-pretrain",
        "local-Fleet-serve",
        "local-Endpoint-filetype",
    }
    assert all(stack["changed"] for stack in first["stacks"])


def test_the_report_is_kept_as_it_was_printed(first, platform):
    assert json.loads((platform.state / "report.json").read_text()) == first


def test_each_shape_is_compiled_once_by_a_processing_job(first, platform):
    """``local.yaml`` asks for batches of 1 and of 8; the artifact is joined from both."""
    assert first["models"]["magika"]["cache"] == "miss"
    assert len(platform.jobs()) == 2


def test_the_artifact_has_a_program_for_every_shape_as_if_one_job_had_made_it(first, platform):
    manifest = platform.manifest(first)
    assert [program["file"] for program in manifest["programs"]] == ["batch-1.ort", "batch-8.ort"]
    assert [one["shape"][0] for one in (*manifest["inputs"], *manifest["outputs"])] == ["batch", "batch"]
    assert len(manifest["parts"]) == 2


def test_a_hit_takes_at_most_three_functions_and_eight_transitions(first, platform, eventually):
    began = time.monotonic()
    with answers() as (address, received):
        entered = platform.request(address, eventually)
        eventually(lambda: received)
    assert received[0]["Status"] == "SUCCESS"
    assert received[0]["Data"]["Cache"] == "hit"
    assert received[0]["PhysicalResourceId"] == first["models"]["magika"]["artifact_key"]
    assert entered == ["Asked", "Begin", "Route", "Reply", "Answer", "Done"]  # Begin and Answer call a function each
    assert time.monotonic() - began < 60  # `make bench` measures it on a quiet machine


def test_another_shape_compiles_that_shape_alone(first, platform):
    before = set(platform.jobs())
    asked = platform.obtain(BatchSizes=["1", "8", "4"])
    new = set(platform.jobs()) - before
    assert (asked["status"], asked["cache"], len(new)) == ("ready", "miss", 1)
    manifest = platform.manifest({"models": {"magika": asked}})
    assert [program["batch_size"] for program in manifest["programs"]] == [1, 4, 8]


def test_a_model_that_failed_is_answered_from_memory_until_somebody_forces_it(first, platform):
    wanted = {"BatchSizes": ["1"], "Dtype": "bf16"}  # ONNX Runtime keeps the model's own types
    first_time, jobs = platform.obtain(**wanted), platform.jobs()
    again = platform.obtain(**wanted)
    assert (first_time["status"], again["status"]) == ("failed", "failed")
    assert "dtype must be fp32" in again["reason"]
    assert "neuron-cdk models compile magika --force" in again["reason"]
    assert platform.jobs() == jobs
    forced = platform.obtain(force=True, **wanted)
    assert forced["status"] == "failed"
    assert len(platform.jobs()) == len(jobs) + 1


def test_a_person_who_joined_anothers_compile_is_told_that_the_artifact_is_there(first, platform, eventually):
    """As a hit, under the person's own execution: a release starts from it."""
    key, steps = first["models"]["magika"]["artifact_key"], platform.client("stepfunctions")
    database = platform.client("dynamodb")
    (table,) = database.list_tables()["TableNames"]
    ready = database.get_item(TableName=table, Key={"artifact_key": {"S": key}})["Item"]
    lease = {"lease_owner": {"S": "a deploy"}, "lease_expires": {"N": str(int(time.time()) + 600)}}
    database.put_item(TableName=table, Item={**ready, "state": {"S": "compiling"}, **lease})

    def entered() -> list[str]:
        events = steps.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    try:
        arn = platform.start_request(model=platform.model(), trigger="person")
        eventually(lambda: "Look" in entered())
    finally:
        database.put_item(TableName=table, Item=ready)
    eventually(lambda: steps.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")
    outcome = json.loads(steps.describe_execution(executionArn=arn)["output"])
    hit = database.get_item(TableName=table, Key={"artifact_key": {"S": key}})["Item"]
    assert (outcome["status"], outcome["cache"], outcome["key"]) == ("ready", "miss", key)
    assert hit["last_hit"]["S"] == arn.rpartition(":")[2]
    assert entered()[-4:] == ["Begin", "Route", "Reply", "Done"]


def test_the_compiled_model_answers_as_the_original_does(first):
    endpoint = first["endpoints"]["filetype"]
    assert endpoint["requests"] == 200
    assert endpoint["agreement"] == 1.0
    assert endpoint["files"]["app.py"] == "python"


def test_the_artifact_is_not_the_source(first, platform):
    source = Sample().model.read_bytes()
    bucket, _, prefix = first["models"]["magika"]["artifact_uri"].removeprefix("s3://").partition("/")
    s3 = platform.client("s3")
    objects = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    digests = {
        hashlib.sha256(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()).hexdigest() for found in objects
    }
    assert len(objects) >= 3
    assert hashlib.sha256(source).hexdigest() not in digests


def test_a_training_fleet_has_its_interfaces_and_its_bounds(first, platform):
    (group,) = [
        group
        for group in platform.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        if "pretrain" in group["AutoScalingGroupName"]
    ]
    assert (group["MinSize"], group["MaxSize"]) == (0, 4)
    version = platform.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"], Versions=[group["LaunchTemplate"]["Version"]]
    )["LaunchTemplateVersions"][0]
    assert len(version["LaunchTemplateData"]["NetworkInterfaces"]) == 8


def test_serving_goes_on_when_the_source_is_deleted(first, platform):
    s3 = platform.client("s3")
    kept = s3.get_object(Bucket=SOURCE_BUCKET, Key=SOURCE_KEY)["Body"].read()
    s3.delete_object(Bucket=SOURCE_BUCKET, Key=SOURCE_KEY)
    try:
        assert platform.invoke(first, (ROOT / "app.py").read_bytes()) == "python"
    finally:
        s3.put_object(Bucket=SOURCE_BUCKET, Key=SOURCE_KEY, Body=kept, ChecksumAlgorithm="SHA256")


def test_the_same_again_changes_nothing(first, platform):
    before = platform.jobs()
    again = platform.deploy()
    assert again["changes"] is False
    assert again["models"]["magika"] == {**first["models"]["magika"], "cache": "hit"}
    assert platform.jobs() == before


def test_a_stack_made_anew_finds_the_artifact_and_starts_no_job(first, platform, eventually):
    before = platform.jobs()
    cloudformation = platform.client("cloudformation")
    cloudformation.delete_stack(StackName="local-Endpoint-filetype")
    eventually(lambda: not platform.client("sagemaker").list_endpoints()["Endpoints"])
    again = platform.deploy(platform.variant(("network:", "tags: {team: vision}\nnetwork:")))
    assert again["changes"] is True
    assert again["models"]["magika"]["cache"] == "hit"
    assert again["models"]["magika"]["artifact_key"] == first["models"]["magika"]["artifact_key"]
    assert platform.jobs() == before


def test_a_model_that_does_not_compile_says_why_and_the_old_one_serves_on(first, platform):
    platform.client("s3").put_object(
        Bucket=SOURCE_BUCKET, Key="broken/model.onnx", Body=b"not a model", ChecksumAlgorithm="SHA256"
    )
    message = platform.failing(platform.variant(("/magika/}", "/broken/}")))
    assert "local-Endpoint-filetype rolled back" in message
    assert "model.onnx is no model that ONNX Runtime" in message
    assert "Traceback" not in message
    status = platform.client("cloudformation").describe_stacks(StackName="local-Endpoint-filetype")["Stacks"][0]
    assert status["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert platform.invoke(first, (ROOT / "app.py").read_bytes()) == "python"


def test_a_model_that_is_not_there_says_so(first, platform):
    message = platform.failing(platform.variant(("/magika/}", "/nowhere/}")))
    assert "nowhere/" in message
    assert "Traceback" not in message


def test_a_request_whose_time_is_up_says_how_to_join_the_compile_that_goes_on(first, platform, eventually):
    platform.deploy()  # what failed before has left the pipeline with the right to another source
    key = first["models"]["magika"]["artifact_key"]
    template = platform.client("cloudformation").get_template(StackName="local-Endpoint-filetype")["TemplateBody"]
    template = template if isinstance(template, dict) else json.loads(template)
    (model,) = [
        resource["Properties"]["Model"]
        for resource in template["Resources"].values()
        if resource["Type"] == "Custom::NeuronCompiledModel"
    ]
    outputs = platform.client("cloudformation").describe_stacks(StackName="local-Pipeline")["Stacks"][0]["Outputs"]
    machine = next(output["OutputValue"] for output in outputs if output["OutputKey"] == "RequestMachine")
    database = platform.client("dynamodb")
    (table,) = database.list_tables()["TableNames"]
    ready = database.get_item(TableName=table, Key={"artifact_key": {"S": key}})["Item"]
    compiling = {**ready, "state": {"S": "compiling"}, "lease_expires": {"N": str(int(time.time()) + 600)}}
    with answers() as (address, received):
        request = {
            "RequestType": "Create",
            "RequestId": uuid.uuid4().hex,
            "ResponseURL": address,
            "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/some/1",
            "LogicalResourceId": "Model",
        }
        asked = {"request": request, "model": model, "deadline": int(time.time()) - 1, "poll_seconds": 1}
        database.put_item(TableName=table, Item=compiling)
        try:
            platform.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(asked))
            eventually(lambda: received)
        finally:
            database.put_item(TableName=table, Item=ready)
    assert received[0]["Status"] == "FAILED"
    assert received[0]["Reason"].startswith(f"still running: execution {key[:32]}-")
    assert received[0]["Reason"].endswith("deploy again to join it")


@contextmanager
def answers() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where CloudFormation would wait for an answer: an address, and what is PUT there."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()


def test_a_port_in_use_is_one_sentence(tmp_path, own_aws):
    own_aws.up()
    port = own_aws.url.rpartition(":")[2]
    done = subprocess.run(
        [
            COMMAND,
            "local",
            "deploy",
            ROOT / "deployments" / "local.yaml",
            "--state",
            tmp_path / "other",
            "--port",
            port,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_after_an_interrupt_the_next_run_goes_on(first, platform, eventually):
    process = platform.start(platform.variant(("[1, 8]", "[1, 2]")))
    eventually(lambda: _status(platform, "local-Endpoint-filetype") == "UPDATE_IN_PROGRESS")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=900)
    assert process.returncode == 130
    assert err.strip().splitlines() == ["neuron-cdk: interrupted; run the same again to go on"]
    report = platform.deploy(platform.state / "variant.yaml")
    assert report["endpoints"]["filetype"]["agreement"] == 1.0


def test_after_the_embedded_aws_died_the_next_run_goes_on(first, platform, eventually):
    process = platform.start(platform.variant(("[1, 8]", "[1, 3]")))
    eventually(lambda: _status(platform, "local-Endpoint-filetype") == "UPDATE_IN_PROGRESS")
    os.kill(platform.aws.status().pid or 0, signal.SIGKILL)
    _, err = process.communicate(timeout=900)
    assert process.returncode == 1
    assert "the embedded AWS stopped during the deploy" in err
    assert "Traceback" not in err
    report = platform.deploy(platform.state / "variant.yaml")
    assert report["endpoints"]["filetype"]["agreement"] == 1.0


def _status(platform: Platform, stack: str) -> str:
    found: str = platform.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    return found
