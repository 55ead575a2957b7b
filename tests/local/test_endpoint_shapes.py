"""Twelve shapes of an endpoint on the embedded AWS: deployed by the CDK, called, updated under load, and taken back.

The first version comes by ``neuron-cdk local deploy``. The second and third are the templates of the same app with
other models, given to CloudFormation for all endpoints at once while somebody asks each of them all the time. The new
containers of the third answer every request with an error, so that alarms, or the smoke test, must take it back.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import INPUT, OUTPUT, SOURCE, Sample
from tests.local.endpoint_shapes import REQUEST, SHAPES, document

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")
SPEED = 30  # a minute of bake is two seconds of test
PATIENCE_S = 300
BODY = json.dumps(REQUEST)
INJECTED = "the model failed: as asked for"  # by the new containers; anything else that fails is a lost request
ASLEEP = "no capacity to process this request"  # of a component that nobody has asked for a while


@dataclass
class Load:
    """What came of asking one endpoint all the time."""

    answered: int = 0
    injected: int = 0
    lost: list[str] = field(default_factory=list)

    def count(self, ask: Callable[[], Any]) -> None:
        try:
            ask()
        except Exception as error:
            if INJECTED in str(error) or ASLEEP in str(error):
                self.injected += 1
            else:
                self.lost.append(str(error))
        else:
            self.answered += 1


class Platform:
    """The deployed endpoints as their users and their owner see them."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        self._session = boto3.Session("test", "test", region_name="us-east-1")
        self._clients: dict[str, Any] = {}
        self._templates: dict[int, dict[str, dict[str, Any]]] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, read_timeout=90, max_pool_connections=50)
            self._clients[service] = self._session.client(service, endpoint_url=self.aws.url, config=config)
        return self._clients[service]

    def output(self, shape: str, key: str) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"shapes-Endpoint-{shape}")["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}[key]

    def endpoint(self, shape: str) -> str:
        return self.output(shape, "EndpointName")

    def described(self, shape: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client("sagemaker").describe_endpoint(EndpointName=self.endpoint(shape))
        return found

    def artifacts(self, shape: str) -> set[str]:
        """The keys of everything the endpoint's variants and components serve."""
        sagemaker = self.client("sagemaker")
        name = self.endpoint(shape)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=self.described(shape)["EndpointConfigName"])
        models = []
        for variant in [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]:
            models += [variant.get("ModelName")]
            models += [pool.get("ModelNameOverride") for pool in variant.get("InstancePools", [])]
        for component in sagemaker.list_inference_components(EndpointNameEquals=name)["InferenceComponents"]:
            described = sagemaker.describe_inference_component(
                InferenceComponentName=component["InferenceComponentName"]
            )
            models.append(described["Specification"]["ModelName"])
        uris = {
            sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"]
            for model in models
            if model
        }
        return {uri.rstrip("/").rpartition("/")[2] for uri in uris}

    def ask(self, shape: str) -> Any:
        """One request and what the model says to it; by way of S3 where the endpoint is asynchronous."""
        name, how = self.endpoint(shape), SHAPES[shape].ask
        if how == "async":
            return self._ask_by_s3(name, self.output(shape, "InputPrefix"))
        one = (
            {"InferenceComponentName": json.loads(self.output(shape, "Components"))["main"]}
            if how == "component"
            else {}
        )
        return self.invoke(name, **one)

    def invoke(self, endpoint: str, **one: str) -> Any:
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=BODY, **one
        )
        return json.loads(answer["Body"].read())

    def _ask_by_s3(self, endpoint: str, prefix: str) -> Any:
        s3 = self.client("s3")
        bucket, _, folder = prefix.removeprefix("s3://").partition("/")
        key = f"{folder.rstrip('/')}/{uuid.uuid4().hex}.json"
        s3.put_object(Bucket=bucket, Key=key, Body=BODY)
        queued = self.client("sagemaker-runtime").invoke_endpoint_async(
            EndpointName=endpoint, InputLocation=f"s3://{bucket}/{key}", ContentType="application/json"
        )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for end in ("OutputLocation", "FailureLocation"):
                bucket, _, key = queued[end].removeprefix("s3://").partition("/")
                with suppress(s3.exceptions.NoSuchKey):
                    content = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
                    if end == "FailureLocation":
                        raise RuntimeError(content)
                    return json.loads(content)
            time.sleep(0.1)
        raise RuntimeError(f"no answer at {queued['OutputLocation']}")

    def update(self, version: int) -> dict[str, str]:
        """Give CloudFormation all endpoints' templates of a version at once; how each stack ended."""
        templates = self.templates(version)
        with ThreadPoolExecutor(len(SHAPES)) as pool:
            return dict(zip(SHAPES, pool.map(self.update_one, SHAPES, templates.values()), strict=True))

    def templates(self, version: int) -> dict[str, dict[str, Any]]:
        """The template of every shape, by the same app that the CDK's command line runs."""
        if version not in self._templates:
            file, out = self._folder / f"{version}.yaml", self._folder / f"{version}.out"
            file.write_text(yaml.safe_dump(document(version)))
            context = json.dumps({"deployment": str(file)})
            environment = os.environ | {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": context}
            subprocess.run([sys.executable, "-O", "app.py"], cwd=ROOT, env=environment, check=True)
            self._templates[version] = {
                shape: json.loads((out / f"shapes-Endpoint-{shape}.template.json").read_text()) for shape in SHAPES
            }
        return self._templates[version]

    def update_one(self, shape: str, template: dict[str, Any]) -> str:
        """Update one endpoint's stack; how that ended."""
        stack = f"shapes-Endpoint-{shape}"
        bucket = SOURCE.removeprefix("s3://").partition("/")[0]
        key = f"templates/{uuid.uuid4().hex}.json"  # a template in the request may have 51,200 bytes, which is less
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(template))
        cloudformation = self.client("cloudformation")
        cloudformation.update_stack(
            StackName=stack, TemplateURL=f"{self.aws.url}/{bucket}/{key}", Capabilities=["CAPABILITY_IAM"]
        )
        deadline = time.monotonic() + PATIENCE_S
        status = "UPDATE_IN_PROGRESS"
        while status.endswith("_IN_PROGRESS") and time.monotonic() < deadline:
            time.sleep(0.2)
            (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
            status = found["StackStatus"]
        return status

    def reasons(self, shape: str) -> str:
        """Everything the newest operation of a stack says failed, for who reads a failed test."""
        events = self.client("cloudformation").describe_stack_events(StackName=f"shapes-Endpoint-{shape}")[
            "StackEvents"
        ]
        failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
        return "; ".join(f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason')}" for each in failed[:5])

    @contextmanager
    def under_load(self) -> Iterator[dict[str, Load]]:
        """Every endpoint is asked all the time by somebody who counts."""
        loads, ended = {shape: Load() for shape in SHAPES}, threading.Event()

        def ask(shape: str) -> None:
            while not ended.is_set():
                loads[shape].count(lambda: self.ask(shape))
                ended.wait(1)

        threads = [threading.Thread(target=ask, args=(shape,)) for shape in SHAPES]
        for thread in threads:
            thread.start()
        try:
            yield loads
        finally:
            ended.set()
            for thread in threads:
                thread.join()


@dataclass(frozen=True)
class Change:
    """What an update of all endpoints came to."""

    statuses: Mapping[str, str]
    loads: Mapping[str, Load]
    artifacts_before: Mapping[str, set[str]]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The first version, deployed as a person would."""
    folder = tmp_path_factory.mktemp("shapes")
    aws = EmbeddedAws(folder / "state", port=0)
    try:
        aws.up()
        platform = Platform(aws, folder)
        bucket, _, prefix = SOURCE.removeprefix("s3://").partition("/")
        platform.client("s3").create_bucket(Bucket=bucket)
        platform.client("s3").put_object(Bucket=bucket, Key=f"{prefix}model.onnx", Body=Sample().model.read_bytes())
        aws.control("endpoints", {"short": {shape.short: 0 for shape in SHAPES.values() if shape.short}})
        file = folder / "1.yaml"
        file.write_text(yaml.safe_dump(document(1)))
        aws.set_clock(speed=SPEED)
        command = [COMMAND, "local", "deploy", file, "--state", aws.state_dir, "--port", "0", "--json"]
        deployed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert deployed.returncode == 0, deployed.stderr
        yield platform
    finally:
        aws.down(delete_state=True)


@pytest.fixture(scope="module")
def updated(platform: Platform) -> Change:
    """The second version, which is fine."""
    before = {shape: platform.artifacts(shape) for shape in SHAPES}
    with platform.under_load() as loads:
        statuses = platform.update(2)
    return Change(statuses, loads, before)


@pytest.fixture(scope="module")
def taken_back(platform: Platform, updated: Change) -> Change:
    """The third version, whose containers answer every request with an error."""
    before = {shape: platform.artifacts(shape) for shape in SHAPES}
    failing = {}
    for shape in SHAPES:
        failing[platform.endpoint(shape)] = {"error_rate": 1.0}
        if SHAPES[shape].ask == "component":
            failing |= {name: {"error_rate": 1.0} for name in json.loads(platform.output(shape, "Components")).values()}
    platform.aws.control("endpoints", {"fail_next": failing})
    with platform.under_load() as loads:
        statuses = platform.update(3)
    return Change(statuses, loads, before)


shapes = pytest.mark.parametrize("shape", SHAPES)


@shapes
def test_every_shape_is_deployed_and_answers(shape: str, platform: Platform, expected: list[float]) -> None:
    assert platform.described(shape)["EndpointStatus"] == "InService"
    (scores,) = patiently(platform, shape)["outputs"][OUTPUT]
    assert scores == pytest.approx(expected, abs=1e-4)


def test_a_pool_that_is_short_leaves_the_next_to_serve_the_model_of_its_own_type(platform: Platform) -> None:
    (variant,) = platform.described("pools")["ProductionVariants"]
    counts = {pool["InstanceType"]: pool["CurrentInstanceCount"] for pool in variant["InstancePools"]}
    assert counts == {"ml.c5.xlarge": 0, "ml.c5.large": 1}


@shapes
def test_every_shape_is_updated_and_serves_what_is_new(shape: str, platform: Platform, updated: Change) -> None:
    assert updated.statuses[shape] == "UPDATE_COMPLETE", platform.reasons(shape)
    assert not updated.artifacts_before[shape] & platform.artifacts(shape)


@shapes
def test_an_update_loses_no_request(shape: str, updated: Change) -> None:
    load = updated.loads[shape]
    assert load.answered > 0
    assert load.lost == []


@shapes
def test_a_version_that_fails_is_taken_back_with_its_stack(shape: str, platform: Platform, taken_back: Change) -> None:
    assert taken_back.statuses[shape] == "UPDATE_ROLLBACK_COMPLETE", platform.reasons(shape)
    assert platform.artifacts(shape) == taken_back.artifacts_before[shape]
    patiently(platform, shape)


@shapes
def test_while_it_is_taken_back_the_old_version_answers(shape: str, taken_back: Change) -> None:
    load = taken_back.loads[shape]
    assert load.answered > 0
    assert load.lost == []


@pytest.mark.usefixtures("taken_back")
def test_a_roll_back_that_sagemaker_does_not_tell_of_fails_the_stack(platform: Platform) -> None:
    before = platform.described("single")["EndpointConfigName"]
    platform.aws.control("endpoints", {"silent_rollback": [platform.endpoint("single")]})

    status = platform.update_one("single", platform.templates(3)["single"])

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "not as asked" in platform.reasons("single")
    assert platform.described("single")["EndpointConfigName"] == before


@pytest.mark.usefixtures("taken_back")
def test_without_the_hook_nobody_would_notice(platform: Platform) -> None:
    """The last of this module: it leaves a stack that believes what is not so."""
    before = platform.described("single")["EndpointConfigName"]
    template = copy.deepcopy(platform.templates(3)["single"])
    hooks = {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "Custom::NeuronEndpointInService"
    }
    template["Resources"] = {name: each for name, each in template["Resources"].items() if name not in hooks}

    status = platform.update_one("single", template)

    assert len(hooks) == 1
    assert status == "UPDATE_COMPLETE"
    assert platform.described("single")["EndpointConfigName"] == before


def patiently(platform: Platform, shape: str) -> Any:
    """An answer; where an endpoint sleeps, the first that comes once it is awake."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return platform.ask(shape)
        except ClientError as error:
            if not SHAPES[shape].sleeps or time.monotonic() > deadline:
                raise AssertionError(f"{shape}: {error}") from error
            time.sleep(0.2)


@pytest.fixture(scope="module")
def expected() -> list[float]:
    """What the original model says to the request."""
    (scores,) = Sample().original(REQUEST["inputs"][INPUT])
    return scores
