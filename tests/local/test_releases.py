"""Releases on the embedded AWS: an endpoint that the release pipeline owns, from its first deploy to its removal.

The tests of this file are one story, in order: each goes on from where the one before has left the endpoint.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import INPUT, SOURCE, Sample

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("neuron-cdk"))
SPEED = 30  # a minute of bake is two seconds of test
PATIENCE_S = 300
REQUEST = {"inputs": {INPUT: [Sample().features(b"#!/bin/sh\necho one line and another\n" * 8)]}}
BODY = json.dumps(REQUEST)
INJECTED = "the model failed: as asked for"  # by the new containers; anything else that fails is a lost request
STACK = "rel-Endpoint-filetype"


def document(approval: bool = False) -> dict[str, Any]:
    return {
        "name": "rel",
        "tags": {"team": "search"},
        "environment": {"account": "000000000000", "region": "us-east-1"},
        "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "endpoints-only"},
        "models": {
            "magika": {
                "source": {"s3": SOURCE},
                "task": "file-type",
                "compile": {"engine": "onnxruntime", "target": "cpu", "batch_sizes": [1]},
                "smoke_test": {"request": REQUEST},
            }
        },
        "endpoints": {
            "filetype": {
                "model": "magika",
                "instance_types": ["ml.m5.large"],
                "size": {"min": 1, "max": 2},
                "managed_by": "pipeline",
                "release": {"approval": approval},
                "scaling": {"metric": "concurrent-requests", "target": 4},
                "rollout": {"kind": "all-at-once", "bake_minutes": 1, "max_error_rate": 0.05},
            }
        },
    }


class Platform:
    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        self.file = folder / "rel.yaml"
        self._session = boto3.Session("test", "test", region_name="us-east-1")
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, read_timeout=90)
            self._clients[service] = self._session.client(service, endpoint_url=self.aws.url, config=config)
        return self._clients[service]

    def source(self, note: str) -> None:
        """Other files in the source, so another artifact of the same model."""
        bucket, _, prefix = SOURCE.removeprefix("s3://").partition("/")
        self.client("s3").put_object(Bucket=bucket, Key=f"{prefix}NOTE.md", Body=note.encode())

    def deploy(self, **changes: Any) -> None:
        self.file.write_text(yaml.safe_dump(document(**changes)))
        command = [COMMAND, "local", "deploy", self.file, "--state", self.aws.state_dir, "--port", "0", "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def models(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``neuron-cdk models …`` for the file."""
        command = [COMMAND, "models", *words, "-d", str(self.file), "--state", str(self.aws.state_dir)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def history(self) -> dict[str, Any]:
        """What the registry holds, and whether a person is asked."""
        (table,) = [name for name in self.client("dynamodb").list_tables()["TableNames"] if "Registry" in name]
        key = {"artifact_key": {"S": "release#endpoint/filetype"}}
        item = self.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        found: dict[str, Any] = json.loads(item["document"]["S"])
        return {**found, "awaits_approval": "approval_token" in item}

    def outcomes(self) -> list[str]:
        return [one["outcome"] for one in self.history()["history"]]

    @property
    def name(self) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}["EndpointName"]

    def stack_updated(self) -> Any:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return stack.get("LastUpdatedTime")

    def serves(self) -> str:
        """The artifact of the configuration in service."""
        sagemaker = self.client("sagemaker")
        configuration = sagemaker.describe_endpoint(EndpointName=self.name)["EndpointConfigName"]
        (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"]
        model = sagemaker.describe_model(ModelName=variant["ModelName"])
        uri: str = model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"]
        return uri.split("/")[4]

    @contextmanager
    def under_load(self) -> Iterator[list[str]]:
        """The endpoint is asked all the time; what was lost, but for what new containers were made to answer."""
        lost, answered, ended, name = list[str](), list[int](), threading.Event(), self.name

        def ask() -> None:
            runtime = self.client("sagemaker-runtime")
            while not ended.is_set():
                try:
                    runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=BODY)["Body"].read()
                    answered.append(1)
                except ClientError as error:
                    if INJECTED not in str(error):
                        lost.append(str(error))
                ended.wait(0.2)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield lost
        finally:
            ended.set()
            thread.join()
        assert answered


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("releases")
    aws = EmbeddedAws(folder / "state", port=0)
    try:
        aws.up()
        made = Platform(aws, folder)
        bucket, _, prefix = SOURCE.removeprefix("s3://").partition("/")
        made.client("s3").create_bucket(Bucket=bucket)
        made.client("s3").put_object(Bucket=bucket, Key=f"{prefix}model.onnx", Body=Sample().model.read_bytes())
        aws.set_clock(speed=SPEED)
        made.deploy()
        yield made
    finally:
        aws.down(delete_state=True)


@pytest.fixture
def ended(platform: Platform, eventually: Callable[..., Any]) -> Callable[[int], list[str]]:
    """Wait until so many releases have ended and nobody is at it; their outcomes, newest first."""

    def wait(count: int) -> list[str]:
        def look() -> list[str] | None:
            found = platform.history()
            over = found["pending"] is None and len(found["history"]) >= count
            return [one["outcome"] for one in found["history"]] if over else None

        outcomes: list[str] = eventually(look)
        return outcomes

    return wait


def test_the_first_deploy_serves_and_is_the_first_release(platform: Platform) -> None:
    found = platform.history()

    assert [one["outcome"] for one in found["history"]] == ["released"]
    assert platform.serves() == found["current"]["artifact_key"]
    targets = platform.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert [one["ResourceId"] for one in targets["ScalableTargets"]] == [f"endpoint/{platform.name}/variant/Main"]
    template = platform.client("cloudformation").get_template(StackName=STACK)["TemplateBody"]
    assert "AWS::SageMaker::" not in json.dumps(template)


def test_what_the_pipeline_makes_has_the_deployments_tags(platform: Platform) -> None:
    sagemaker = platform.client("sagemaker")
    (endpoint,) = sagemaker.list_endpoints()["Endpoints"]
    (configuration,) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    (model,) = sagemaker.list_models()["Models"]

    for made in (endpoint["EndpointArn"], configuration["EndpointConfigArn"], model["ModelArn"]):
        assert sagemaker.list_tags(ResourceArn=made)["Tags"] == [{"Key": "team", "Value": "search"}]


def test_the_history_can_be_read(platform: Platform) -> None:
    done = platform.models("history", "filetype", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["outcome"] for one in told["history"]] == ["released"]
    assert "declaration" not in told["current"]
    assert f"artifact {told['current']['artifact_key'][:12]}" in platform.models("history", "filetype").stdout


def test_a_new_artifact_is_released_without_a_deploy(platform: Platform, ended: Any) -> None:
    before, updated = platform.serves(), platform.stack_updated()
    platform.source("second")

    with platform.under_load() as lost:
        compiled = platform.models("compile", "magika")
        assert compiled.returncode == 0, compiled.stderr
        assert ended(2) == ["released", "released"]

    assert lost == []
    assert platform.serves() == platform.history()["current"]["artifact_key"] != before
    assert platform.stack_updated() == updated


def test_a_bad_version_is_taken_back_while_the_old_one_answers(platform: Platform, ended: Any) -> None:
    before = platform.serves()
    platform.source("third")
    platform.aws.control("endpoints", {"fail_next": {platform.name: {"error_rate": 1.0}}})

    with platform.under_load() as lost:
        platform.models("compile", "magika")
        assert ended(3)[0] == "rolled back"

    platform.aws.control("endpoints", {"fail_next": {}})
    assert lost == []
    assert platform.serves() == before
    assert platform.history()["history"][0]["artifact_key"] != before


def test_a_person_goes_back_to_the_release_before(platform: Platform) -> None:
    first = platform.history()["history"][-1]["artifact_key"]

    done = platform.models("rollback", "filetype", "--wait")

    assert (done.returncode, done.stdout.strip()) == (0, "endpoint/filetype: released"), done.stderr
    assert platform.serves() == first


def test_what_is_served_already_is_not_released_again(platform: Platform) -> None:
    key = platform.serves()

    done = platform.models("release", "filetype", "--artifact", key[:12], "--wait", "--json")

    (told,) = json.loads(done.stdout)
    assert (done.returncode, told["outcome"]) == (0, "unchanged")


def test_a_target_that_is_not_there_is_wrong_input(platform: Platform) -> None:
    done = platform.models("rollback", "nothing")

    assert done.returncode == 2
    assert "its targets: endpoint/filetype" in done.stderr


def test_two_releases_at_once_go_one_after_the_other(platform: Platform) -> None:
    before = platform.serves()
    second = next(
        one["artifact_key"]
        for one in platform.history()["history"]
        if one["outcome"] == "released" and one["artifact_key"] != before
    )
    told: list[subprocess.CompletedProcess[str]] = []
    releases = [
        threading.Thread(
            target=lambda key=key: told.append(platform.models("rollback", "filetype", "--to", key, "--wait"))
        )
        for key in (second, before)
    ]
    releases[0].start()
    _until(lambda: platform.history()["pending"])
    releases[1].start()
    for each in releases:
        each.join()

    assert [one.returncode for one in told] == [0, 0], told
    newest, older = platform.history()["history"][:2]
    assert (newest["artifact_key"], older["artifact_key"]) == (before, second)
    assert platform.serves() == before


def test_models_and_configurations_of_two_releases_are_kept(platform: Platform) -> None:
    found = platform.history()
    kept = sorted(f"{platform.name}-{found[which]['id']}" for which in ("current", "previous"))
    sagemaker = platform.client("sagemaker")

    assert sorted(one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]) == kept
    assert sorted(one["ModelName"] for one in sagemaker.list_models()["Models"]) == kept


def test_an_execution_that_is_stopped_is_taken_back_and_its_lease_returned(platform: Platform, ended: Any) -> None:
    before, count = platform.serves(), len(platform.outcomes())
    platform.models("rollback", "filetype")
    pending = _until(lambda: _at(platform, "progress"))
    machine = _output(platform, "ReleaseMachine")
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{pending['execution']}"

    platform.client("stepfunctions").stop_execution(executionArn=execution, cause="a person stopped it")

    assert ended(count + 1)[0] == "rolled back"
    assert platform.serves() == before
    assert "ended as ABORTED" in platform.history()["history"][0]["reason"]


def test_a_person_approves_and_rejects(platform: Platform, ended: Any) -> None:
    platform.deploy(approval=True)
    count = len(platform.outcomes())
    before = platform.serves()
    platform.source("fourth")

    platform.models("compile", "magika")
    _until(lambda: platform.history()["awaits_approval"])
    assert platform.serves() == before
    rejected = platform.models("approve", "filetype", "--reject", "--reason", "not today")
    assert rejected.returncode == 0, rejected.stderr
    assert ended(count + 1)[0] == "rejected"
    assert "not today" in platform.history()["history"][0]["reason"]

    key = platform.history()["history"][0]["artifact_key"]
    platform.models("release", "filetype", "--artifact", key)
    _until(lambda: platform.history()["awaits_approval"])
    approved = platform.models("approve", "filetype")
    assert approved.returncode == 0, approved.stderr
    assert ended(count + 2)[0] == "released"
    assert platform.serves() == key
    assert platform.models("approve", "filetype").returncode == 1


def test_the_removal_of_the_stack_leaves_nothing(platform: Platform, eventually: Any) -> None:
    cloudformation = platform.client("cloudformation")
    identifier = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=STACK)

    def gone() -> bool:
        status = cloudformation.describe_stacks(StackName=identifier)["Stacks"][0]["StackStatus"]
        assert status != "DELETE_FAILED"
        return bool(status == "DELETE_COMPLETE")

    eventually(gone)
    sagemaker = platform.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    scaling = platform.client("application-autoscaling")
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    alarms = platform.client("cloudwatch").describe_alarms(AlarmNamePrefix="rel-endpoint-filetype")["MetricAlarms"]
    assert alarms == []
    (table,) = [name for name in platform.client("dynamodb").list_tables()["TableNames"] if "Registry" in name]
    key = {"artifact_key": {"S": "release#endpoint/filetype"}}
    assert "Item" not in platform.client("dynamodb").get_item(TableName=table, Key=key)


def _output(platform: Platform, name: str) -> str:
    (stack,) = platform.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {each["OutputKey"]: str(each["OutputValue"]) for each in stack["Outputs"]}[name]


def _at(platform: Platform, stage: str) -> dict[str, Any] | None:
    pending: dict[str, Any] | None = platform.history()["pending"]
    return pending if pending and pending["stage"] == stage else None


def _until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came of it")
