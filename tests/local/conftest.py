"""One embedded AWS for the tests of this folder, on a free port, gone with its folder at the end."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from neuron_cdk.assets import lambda_root
from neuron_cdk.local import EmbeddedAws
from tests.local import rights

_REGION = "us-east-1"
_ROLE = "arn:aws:iam::000000000000:role/neuron"
_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/neuron-cdk-cpu:onnxruntime-1.32.0"

Clients = Callable[[str], Any]


def pytest_configure(config: pytest.Config) -> None:
    """Every embedded AWS of this run leaves what its roles did in one folder."""
    if rights.REPORTS not in os.environ:
        folder = os.environ[rights.REPORTS] = tempfile.mkdtemp(prefix="neuron-cdk-permissions-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """After a run of all of these tests: what each role used and never used, and what nobody has a reason for."""
    if not _is_whole(terminalreporter.stats):
        return
    kinds = rights.read(Path(os.environ[rights.REPORTS]))
    page = config.cache.mkdir("permissions") / "permissions.md"
    page.write_text(rights.page(kinds))
    terminalreporter.section("permissions")
    terminalreporter.line(f"what each of {len(kinds)} roles used, and never used and why: {page}")
    for line in rights.unexplained(kinds):
        terminalreporter.line(f"granted and never used, with no reason in tests/local/rights.py: {line}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Such a run fails when there are any."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    whole = reporter is not None and _is_whole(reporter.stats)
    if whole and rights.unexplained(rights.read(Path(os.environ[rights.REPORTS]))) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_whole(stats: dict[str, list[Any]]) -> bool:
    """Whether every file of this folder ran, and nothing of it failed or was left out."""
    ran = {Path(report.nodeid.partition("::")[0]).name for report in stats.get("passed", [])}
    return not stats.get("deselected") and ran >= {file.name for file in Path(__file__).parent.glob("test_*.py")}


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Wait for what has no event of its own: the first true answer."""

    def wait(look: Callable[[], Any], *, within: float = 300) -> Any:
        deadline = time.monotonic() + within
        pause = 0.02
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)  # whoever is waited for needs the processor, too
        raise AssertionError(f"nothing came of it in {within:.0f} s")

    return wait


@pytest.fixture(scope="session")
def clients_of() -> Callable[[EmbeddedAws], Clients]:
    """boto3 clients that speak to one embedded AWS and to nothing else."""

    def make(aws: EmbeddedAws) -> Clients:
        session = boto3.Session("test", "test", region_name=_REGION)
        config = Config(retries={"total_max_attempts": 1}, read_timeout=90)
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            if not made:
                _make_role(session.client("iam", endpoint_url=aws.url, config=config))
            if service not in made:
                made[service] = session.client(service, endpoint_url=aws.url, config=config)
            return made[service]

        return client

    return make


def _make_role(iam: Any) -> None:
    """The role of what tests make by hand: every service that they use may take it on, and it may do everything."""
    services = [f"{name}.amazonaws.com" for name in ("lambda", "sagemaker", "states")]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="neuron", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.put_role_policy(
        RoleName="neuron", PolicyName="Everything", PolicyDocument=json.dumps({"Statement": [everything]})
    )


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    aws = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), port=0)
    aws.up()
    yield aws
    aws.down(delete_state=True)


@pytest.fixture(scope="session")
def client(embedded_aws: EmbeddedAws, clients_of: Callable[[EmbeddedAws], Clients]) -> Clients:
    return clients_of(embedded_aws)


@pytest.fixture
def own_aws(tmp_path: Path) -> Iterator[EmbeddedAws]:
    """One that a test may break; not started."""
    aws = EmbeddedAws(tmp_path / "state", port=0)
    yield aws
    aws.down(delete_state=True)


@pytest.fixture(scope="session")
def operate_on(eventually: Callable[..., Any]) -> Callable[..., str]:
    """Create, update or delete a stack and say how that ended."""

    def operate(client: Clients, operation: str, name: str, resources: dict[str, Any] | None = None) -> str:
        cloudformation = client("cloudformation")
        template = {"TemplateBody": json.dumps({"Resources": resources})} if resources else {}
        if operation == "create":
            identifier = cloudformation.create_stack(StackName=name, **template)["StackId"]
        else:
            identifier = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
            getattr(cloudformation, f"{operation}_stack")(StackName=name, **template)

        def ended() -> str | None:
            status: str = cloudformation.describe_stacks(StackName=identifier)["Stacks"][0]["StackStatus"]
            return None if status.endswith("_IN_PROGRESS") else status

        return str(eventually(ended))

    return operate


@pytest.fixture
def operate(client: Clients, operate_on: Callable[..., str]) -> Callable[..., str]:
    """The same in the shared embedded AWS."""
    return lambda *arguments: operate_on(client, *arguments)


@pytest.fixture
def reason(client: Clients) -> Callable[[str, str], str]:
    """Why a resource failed last, by the stack's events."""

    def find(stack: str, logical_id: str) -> str:
        events = client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        return next(
            str(event["ResourceStatusReason"])
            for event in events
            if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith("_FAILED")
        )

    return find


@pytest.fixture(scope="session")
def job_request() -> Callable[..., dict[str, Any]]:
    """A CreateProcessingJob request for a Python script that is in a bucket, its name new."""

    def make(bucket: str, **more: Any) -> dict[str, Any]:
        code = {"S3Uri": f"s3://{bucket}/code/", "LocalPath": "/opt/ml/processing/input/code"}
        result = {"S3Uri": f"s3://{bucket}/out", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
        return {
            "ProcessingJobName": f"job-{uuid.uuid4().hex[:12]}",
            "RoleArn": _ROLE,
            "AppSpecification": {
                "ImageUri": _IMAGE,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/main.py"],
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
            },
            "ProcessingInputs": [
                {"InputName": "code", "S3Input": {"S3DataType": "S3Prefix", "S3InputMode": "File", **code}}
            ],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": result}]},
            **more,
        }

    return make


@pytest.fixture(scope="session")
def finished(eventually: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Wait for the end of a processing job; its description."""

    def wait(client: Clients, name: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = client("sagemaker").describe_processing_job(ProcessingJobName=name)
            return described if described["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        ended_job: dict[str, Any] = eventually(ended)
        return ended_job

    return wait


@pytest.fixture(scope="session")
def publish(
    job_request: Callable[..., dict[str, Any]], finished: Callable[..., dict[str, Any]]
) -> Callable[[Clients], str]:
    """Compile Magika's model by the real job in an embedded AWS; the URI of the artifact."""

    def run(client: Clients) -> str:
        s3 = client("s3")
        s3.create_bucket(Bucket="models")
        package = importlib.util.find_spec("magika")
        assert package is not None
        assert package.origin is not None
        (model,) = Path(package.origin).parent.glob("models/*/model.onnx")
        s3.upload_file(str(model), "models", "source/model.onnx")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            for file in sorted((lambda_root() / "neuron_jobs").rglob("*.py")):
                archive.write(file, file.relative_to(lambda_root()))
        s3.put_object(Bucket="models", Key="code/jobs.zip", Body=code.getvalue())
        wanted = {
            "name": "magika",
            "source": {"kind": "s3"},
            "task": "text-classification",
            "engine": "onnxruntime",
            "target": "cpu",
            "sdk": "1.32.0",
            "dtype": "fp32",
            "batch_sizes": [1],
            "sequence_lengths": [],
            "tensor_parallel": 1,
            "compiler_args": [],
        }
        request = {"artifact_key": "0" * 64, "attempt": "1", "model": wanted}
        s3.put_object(Bucket="models", Key="request/request.json", Body=json.dumps(request))
        job = job_request(
            "models",
            AppSpecification={"ImageUri": _IMAGE, "ContainerEntrypoint": ["python3", "-m", "neuron_jobs.compile"]},
            Environment={"PYTHONPATH": "/opt/ml/processing/input/code/jobs.zip"},
            ProcessingInputs=[
                {
                    "InputName": name,
                    "S3Input": {
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                        "S3Uri": f"s3://models/{name}/",
                        "LocalPath": f"/opt/ml/processing/input/{name}",
                    },
                }
                for name in ("code", "source", "request")
            ],
        )
        client("sagemaker").create_processing_job(**job)
        ended = finished(client, job["ProcessingJobName"])
        assert ended["ProcessingJobStatus"] == "Completed", ended
        return "s3://models/out/"

    return run


@pytest.fixture(scope="session")
def artifact(client: Clients, publish: Callable[[Clients], str]) -> str:
    """The URI of a compiled model in the shared embedded AWS."""
    return publish(client)


@pytest.fixture(scope="session")
def endpoint_resources() -> Callable[..., dict[str, Any]]:
    """Model, configuration and endpoint for a template."""

    def make(artifact: str, **changes: Any) -> dict[str, Any]:
        source = {"S3Uri": artifact, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"Image": _IMAGE, "ModelDataSource": {"S3DataSource": source}} | changes
        variant = {
            "VariantName": "Main",
            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1,
            "ContainerStartupHealthCheckTimeoutInSeconds": 60,
        }
        config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
        return {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "ExecutionRoleArn": _ROLE,
                    "PrimaryContainer": container,
                    "EnableNetworkIsolation": True,
                },
            },
            "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
            "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": config}},
        }

    return make


@pytest.fixture(scope="session")
def code_of() -> Callable[..., Any]:
    """The error a call ends with: ``code`` and ``message``, and the whole ``response``."""

    def call(operation: Callable[..., Any], **arguments: Any) -> SimpleNamespace:
        with pytest.raises(ClientError) as caught:
            operation(**arguments)
        error = caught.value.response["Error"]
        return SimpleNamespace(code=error["Code"], message=error["Message"], response=caught.value.response)

    return call


@pytest.fixture(scope="session")
def launch_template(client: Clients) -> Callable[..., str]:
    """A launch template with this data; its id."""

    def make(**data: Any) -> str:
        whole = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "inf2.xlarge"} | data
        made = client("ec2").create_launch_template(
            LaunchTemplateName=f"template-{uuid.uuid4().hex[:8]}", LaunchTemplateData=whole
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    return make


@pytest.fixture
def group(client: Clients, launch_template: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """An Auto Scaling group of at most eight instances, gone after the test; its name."""
    made: list[str] = []

    def make(**changes: Any) -> str:
        name = f"group-{uuid.uuid4().hex[:8]}"
        request = {"MinSize": 0, "MaxSize": 8, "VPCZoneIdentifier": "subnet-00000001,subnet-00000002"} | changes
        request = {member: value for member, value in request.items() if value is not None}
        if not {"LaunchTemplate", "MixedInstancesPolicy"} & request.keys():
            request["LaunchTemplate"] = {"LaunchTemplateId": launch_template(), "Version": "1"}
        client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **request)
        made.append(name)
        return name

    yield make
    for name in made:
        with suppress(ClientError):  # the test has deleted it
            client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)


@pytest.fixture
def described(client: Clients) -> Callable[[str], dict[str, Any]]:
    """A group as it is described."""

    def describe(name: str) -> dict[str, Any]:
        found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        (one,) = found["AutoScalingGroups"]
        return dict(one)

    return describe


@pytest.fixture(scope="session")
def later(embedded_aws: EmbeddedAws) -> Callable[[float], float]:
    """Let so many seconds pass at once; the time then."""

    def pass_by(seconds: float) -> float:
        return embedded_aws.set_clock(advance_s=seconds)

    return pass_by


@pytest.fixture
def told(client: Clients) -> Iterator[Callable[[dict[str, Any]], Callable[[], list[dict[str, Any]]]]]:
    """What EventBridge delivers from now on of the events that match a pattern; each call gives the new ones."""
    made: list[str] = []

    def listen(pattern: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
        name = f"told-{uuid.uuid4().hex[:8]}"
        queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
        client("events").put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        made.append(name)

        def received() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while True:
                batch = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
                for message in batch:
                    found.append(json.loads(message["Body"]))
                    client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                if not batch:
                    return found

        return received

    yield listen
    for name in made:
        client("events").remove_targets(Rule=name, Ids=["queue"])
        client("events").delete_rule(Name=name)


@pytest.fixture
def of_group(told: Any) -> Callable[[str], Callable[[], list[dict[str, Any]]]]:
    """The events of a group, as ``told`` gives them."""

    def listen(name: str) -> Callable[[], list[dict[str, Any]]]:
        pattern = {"source": ["aws.autoscaling"], "detail": {"AutoScalingGroupName": [name]}}
        received: Callable[[], list[dict[str, Any]]] = told(pattern)
        return received

    return listen


@pytest.fixture
def controlled(embedded_aws: EmbeddedAws) -> Iterator[Callable[..., dict[str, Any]]]:
    """Set capacity or the instances' behaviour; as before after the test."""
    limited: set[str] = set()

    def control(name: str, **wanted: Any) -> dict[str, Any]:
        limited.update(wanted.get("pools", {}))
        return embedded_aws.control(name, wanted)

    yield control
    embedded_aws.control("capacity", {"pools": dict.fromkeys(limited)})
    normal = {"boot_s": 30, "warm_boot_s": 10, "drain_s": 5, "launch": "continue", "terminate": "continue"}
    embedded_aws.control("instances", normal)


@pytest.fixture(scope="session")
def model_of(client: Clients, artifact: str) -> Callable[..., str]:
    """A SageMaker model that serves a compiled artifact; its name, which is new."""

    def make(uri: str | None = None, **container: Any) -> str:
        name = f"model-{uuid.uuid4().hex[:8]}"
        source = {"S3Uri": uri or artifact, "S3DataType": "S3Prefix", "CompressionType": "None"}
        primary = {"Image": _IMAGE, "ModelDataSource": {"S3DataSource": source}} | container
        client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=_ROLE, PrimaryContainer=primary)
        return name

    return make


@pytest.fixture(scope="session")
def config_of(client: Clients, model_of: Callable[..., str]) -> Callable[..., str]:
    """An endpoint configuration of one variant ``Main`` with changes, or of ``variants``; its name, which is new."""

    def make(*, variants: list[dict[str, Any]] | None = None, more: dict[str, Any] | None = None, **main: Any) -> str:
        name = f"config-{uuid.uuid4().hex[:8]}"
        declared = [
            {"VariantName": "Main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1} | variant
            for variant in variants or [main]
        ]
        for variant in declared:
            variant.setdefault("ModelName", model_of())
            if "InstancePools" in variant:
                del variant["InstanceType"]
        client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=declared, **(more or {}))
        return name

    return make


@pytest.fixture(scope="session")
def settled(client: Clients, eventually: Callable[..., Any]) -> Callable[[str], dict[str, Any]]:
    """Wait until nothing is under way at an endpoint; its description."""

    def wait(name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            described: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=name)
            ended = described["EndpointStatus"] in ("InService", "Failed", "UpdateRollbackFailed")
            return described if ended else None

        described: dict[str, Any] = eventually(look)
        return described

    return wait


@pytest.fixture
def endpoint_of(
    client: Clients, settled: Callable[[str], dict[str, Any]], eventually: Callable[..., Any]
) -> Iterator[Callable[..., str]]:
    """An endpoint in service with a configuration, gone after the test; its name."""
    made: list[str] = []

    def make(config: str, *, status: str = "InService") -> str:
        name = f"endpoint-{uuid.uuid4().hex[:8]}"
        client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
        made.append(name)
        described = settled(name)
        assert described["EndpointStatus"] == status, described
        return name

    yield make
    for name in made:
        with suppress(ClientError):  # the test has deleted it
            settled(name)
            client("sagemaker").delete_endpoint(EndpointName=name)
    for name in made:
        eventually(lambda name=name: not client("sagemaker").list_endpoints(NameContains=name)["Endpoints"])


@pytest.fixture(scope="session")
def ask(client: Clients) -> Callable[..., dict[str, Any]]:
    """One request to an endpoint, that its model answers."""
    body = json.dumps({"inputs": {"bytes": [[104] * 2048]}})

    def call(name: str, **more: Any) -> dict[str, Any]:
        request = {"ContentType": "application/json", "Body": body} | more
        answer: dict[str, Any] = client("sagemaker-runtime").invoke_endpoint(EndpointName=name, **request)
        answer["Body"].read()
        return answer

    return call


@pytest.fixture
def under_load(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Ask an endpoint all the time from so many clients at once; ``done`` and ``lost`` count, ``stop`` ends it."""

    @contextmanager
    def load(name: str, *, clients: int = 2, pause: float = 0.02, **more: Any) -> Iterator[SimpleNamespace]:
        seen = SimpleNamespace(done=0, lost=[])
        ended = threading.Event()

        def go() -> None:
            while not ended.is_set():
                try:
                    ask(name, **more)
                    seen.done += 1
                except Exception as error:
                    seen.lost.append(str(error))
                time.sleep(pause)

        threads = [threading.Thread(target=go) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    return load


@pytest.fixture
def wrong(embedded_aws: EmbeddedAws) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make something go wrong with endpoints; nothing does after the test."""
    yield lambda **wanted: embedded_aws.control("endpoints", wanted)
    embedded_aws.control("endpoints", {"short": {}, "fail": {}, "fail_next": {}, "silent_rollback": []})
