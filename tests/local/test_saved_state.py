"""What was deployed comes back, after a stop and after a kill; what was under way is settled, never half there."""

from __future__ import annotations

import io
import json
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]


@pytest.fixture
def kill(own_aws: EmbeddedAws) -> Callable[[], None]:
    def now() -> None:
        pid = own_aws.status().pid
        assert pid
        os.kill(pid, signal.SIGKILL)

    return now


@pytest.fixture
def again(own_aws: EmbeddedAws, clients_of: Any) -> Callable[[], Clients]:
    """Start it, for the first time or again; its clients."""

    def up() -> Clients:
        own_aws.up()
        clients: Clients = clients_of(own_aws)
        return clients

    return up


def _bucket(name: str) -> dict[str, Any]:
    return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_stacks_objects_and_functions_come_back(
    end: str, own_aws: EmbeddedAws, kill: Any, again: Any, operate_on: Any, tmp_path: Path
) -> None:
    client = again()
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return event['x'] + 1\n")
        archive.writestr("padding", os.urandom(10_000))
    client("s3").create_bucket(Bucket="kept")
    client("s3").put_object(Bucket="kept", Key="code.zip", Body=code.getvalue())
    client("s3").put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    first = client("s3").put_object(Bucket="kept", Key="tagged", Body=b"older" * 1000)["VersionId"]
    client("s3").put_object(Bucket="kept", Key="tagged", Body=b"x" * 100_000, Tagging="team=ml", Metadata={"a": "b"})
    resources = {
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "increment",
                "Runtime": "python3.13",
                "Handler": "main.handler",
                "Role": "arn:aws:iam::000000000000:role/neuron",
                "Code": {"S3Bucket": "kept", "S3Key": "code.zip"},
            },
        }
    }
    assert operate_on(client, "create", "functions", resources) == "CREATE_COMPLETE"

    own_aws.down() if end == "stop" else kill()
    client = again()

    (stack,) = client("cloudformation").describe_stacks(StackName="functions")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    tagged = client("s3").get_object(Bucket="kept", Key="tagged")
    assert (tagged["Body"].read(), tagged["Metadata"]) == (b"x" * 100_000, {"a": "b"})
    older = client("s3").get_object(Bucket="kept", Key="tagged", VersionId=first)
    assert older["Body"].read() == b"older" * 1000
    assert client("s3").get_object_tagging(Bucket="kept", Key="tagged")["TagSet"] == [{"Key": "team", "Value": "ml"}]
    answer = client("lambda").invoke(FunctionName="increment", Payload=b'{"x": 41}')
    assert json.loads(answer["Payload"].read()) == 42


def test_what_was_done_after_the_last_save_is_gone_whole(kill: Any, again: Any, operate_on: Any) -> None:
    client = again()
    operate_on(client, "create", "first", _bucket("first"))
    client("s3").put_object(Bucket="first", Key="late", Body=b"y" * 5000)
    client("s3").create_bucket(Bucket="later")

    kill()
    client = again()

    assert [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]] == ["first"]
    assert "Contents" not in client("s3").list_objects_v2(Bucket="first")


def test_a_save_that_was_cut_off_counts_for_nothing(
    own_aws: EmbeddedAws, again: Any, operate_on: Any, tmp_path: Path
) -> None:
    client = again()
    operate_on(client, "create", "first", _bucket("first"))
    own_aws.down()
    saved = tmp_path / "state" / "aws" / "saved"
    (saved / "state.json.coming").write_bytes((saved / "state.json").read_bytes()[:100])

    client = again()

    assert client("cloudformation").describe_stacks(StackName="first")["Stacks"]


@pytest.mark.parametrize("harm", ["cut", "content"])
def test_a_damaged_state_starts_clean(
    harm: str, own_aws: EmbeddedAws, again: Any, operate_on: Any, tmp_path: Path
) -> None:
    client = again()
    operate_on(client, "create", "first", _bucket("first"))
    client("s3").put_object(Bucket="first", Key="large", Body=b"y" * 5000)
    own_aws.down()
    saved = tmp_path / "state" / "aws" / "saved"
    damaged = saved / "state.json" if harm == "cut" else next((saved / "contents").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-1])

    client = again()

    assert client("s3").list_buckets()["Buckets"] == []
    assert own_aws.status().stacks == {}
    assert "starting clean" in own_aws.logs_path.read_text()


def test_contents_that_nothing_needs_any_more_are_removed(
    own_aws: EmbeddedAws, again: Any, operate_on: Any, tmp_path: Path
) -> None:
    client = again()
    operate_on(client, "create", "first", _bucket("first"))
    client("s3").put_object(Bucket="first", Key="large", Body=b"y" * 5000)
    operate_on(client, "create", "second", _bucket("second"))
    contents = tmp_path / "state" / "aws" / "saved" / "contents"
    assert len(list(contents.iterdir())) == 1
    client("s3").delete_object(Bucket="first", Key="large")

    operate_on(client, "delete", "second")

    assert list(contents.iterdir()) == []


def _waiting(name: str) -> dict[str, Any]:
    """A bucket, and a custom resource that nobody ever answers for."""
    return {
        **_bucket(name),
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": "arn:aws:iam::000000000000:role/neuron",
                "Code": {
                    "ZipFile": "import json, urllib.request\n"
                    "def handler(event, context):\n"
                    "    if event['RequestType'] == 'Delete' or event['ResourceProperties']['Answer'] == 'true':\n"
                    "        answer = {key: event[key] for key in ('StackId', 'RequestId', 'LogicalResourceId')}\n"
                    "        answer |= {'Status': 'SUCCESS', 'PhysicalResourceId': 'it'}\n"
                    "        body = json.dumps(answer).encode()\n"
                    "        request = urllib.request.Request(event['ResponseURL'], body, method='PUT')\n"
                    "        urllib.request.urlopen(request)\n"
                },
            },
        },
        "Custom": {
            "Type": "Custom::Waiting",
            "DependsOn": "Bucket",
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "Answer": False},
        },
    }


def _begin(client: Clients, operation: str, name: str, resources: dict[str, Any], eventually: Any) -> None:
    """Start an operation that hangs in its custom resource, and have the state saved while it does."""
    cloudformation = client("cloudformation")
    template = json.dumps({"Resources": resources})
    getattr(cloudformation, f"{operation}_stack")(StackName=name, TemplateBody=template)

    def hangs() -> bool:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        done = f"{operation.upper()}_COMPLETE"
        return any(event["LogicalResourceId"] == "Function" and event["ResourceStatus"] == done for event in events)

    eventually(hangs)
    cloudformation.create_stack(StackName="saving", TemplateBody=json.dumps({"Resources": _bucket("saving")}))
    eventually(
        lambda: cloudformation.describe_stacks(StackName="saving")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    )


def test_a_create_that_the_kill_interrupted_is_rolled_back(
    kill: Any, again: Any, eventually: Any, operate_on: Any
) -> None:
    client = again()
    _begin(client, "create", "interrupted", _waiting("interrupted"), eventually)

    kill()
    client = again()

    (stack,) = client("cloudformation").describe_stacks(StackName="interrupted")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]] == ["saving"]
    assert client("lambda").list_functions()["Functions"] == []
    assert operate_on(client, "delete", "interrupted") == "DELETE_COMPLETE"
    assert operate_on(client, "create", "interrupted", _bucket("interrupted")) == "CREATE_COMPLETE"


def test_an_update_that_the_kill_interrupted_is_taken_back(
    kill: Any, again: Any, eventually: Any, operate_on: Any
) -> None:
    client = again()
    before = _waiting("kept-bucket")
    before["Custom"]["Properties"]["Answer"] = True
    assert operate_on(client, "create", "interrupted", before) == "CREATE_COMPLETE"
    after = _waiting("kept-bucket")
    after["Function"]["Properties"]["Description"] = "changed"
    _begin(client, "update", "interrupted", after, eventually)

    kill()
    client = again()

    (stack,) = client("cloudformation").describe_stacks(StackName="interrupted")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "kept-bucket" in [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]
    (function,) = client("lambda").list_functions()["Functions"]
    assert function["Description"] == ""


def test_a_job_that_the_kill_interrupted_has_failed(
    kill: Any, again: Any, eventually: Any, operate_on: Any, job_request: Any
) -> None:
    client = again()
    client("s3").create_bucket(Bucket="jobs")
    client("s3").put_object(Bucket="jobs", Key="code/main.py", Body="import time\ntime.sleep(600)")
    request = job_request("jobs")
    client("sagemaker").create_processing_job(**request)
    operate_on(client, "create", "saving", _bucket("saving"))

    kill()
    client = again()

    job = client("sagemaker").describe_processing_job(ProcessingJobName=request["ProcessingJobName"])
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "InternalServerError: the embedded AWS ended while the job ran",
    )


def test_an_execution_that_the_kill_interrupted_has_failed_and_its_rule_was_told(
    kill: Any, again: Any, eventually: Any, operate_on: Any
) -> None:
    client = again()
    client("s3").create_bucket(Bucket="told")
    resources = {
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": "arn:aws:iam::000000000000:role/neuron",
                "Code": {
                    "ZipFile": "import boto3\n"
                    "def handler(event, context):\n"
                    "    name = event['detail']['name']\n"
                    "    boto3.client('s3').put_object(Bucket='told', Key=name, Body=event['detail']['error'])\n"
                },
            },
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {"source": ["aws.states"], "detail": {"status": ["FAILED"]}},
                "Targets": [{"Id": "function", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}}],
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Function"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": "sleeper",
                "RoleArn": "arn:aws:iam::000000000000:role/neuron",
                "Definition": {
                    "StartAt": "Wait",
                    "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}},
                },
            },
        },
    }
    assert operate_on(client, "create", "machine", resources) == "CREATE_COMPLETE"
    (machine,) = client("stepfunctions").list_state_machines()["stateMachines"]
    client("stepfunctions").start_execution(stateMachineArn=machine["stateMachineArn"], name="long")
    operate_on(client, "create", "saving", _bucket("saving"))

    kill()
    client = again()

    told = eventually(lambda: client("s3").list_objects_v2(Bucket="told").get("Contents"))
    assert [item["Key"] for item in told] == ["long"]
    error = client("s3").get_object(Bucket="told", Key="long")["Body"].read()
    assert error == b"States.ServiceRestart"


@pytest.fixture
def passing(eventually: Any) -> Callable[[Clients, str], dict[str, Any]]:
    """Run an execution of that name of a machine that passes its input on; how it is described at its end."""

    def run(client: Clients, name: str) -> dict[str, Any]:
        step_functions = client("stepfunctions")
        definition = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
        machine = step_functions.create_state_machine(
            name="passing", definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/neuron"
        )["stateMachineArn"]
        arn = step_functions.start_execution(stateMachineArn=machine, name=name, input='{"x": 1}')["executionArn"]
        eventually(lambda: step_functions.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")
        return ended(client, arn)

    return run


def ended(client: Clients, arn: str) -> dict[str, Any]:
    described: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=arn)
    history = client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    return {name: described[name] for name in ("executionArn", "status", "input", "output")} | {"events": history}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_execution_that_ended_comes_back_with_its_history(
    end: str, own_aws: EmbeddedAws, kill: Any, again: Any, operate_on: Any, passing: Any
) -> None:
    client = again()
    before = passing(client, "once")
    operate_on(client, "create", "saving", _bucket("saving"))
    operate_on(client, "create", "saving-again", _bucket("saving-again"))

    own_aws.down() if end == "stop" else kill()
    client = again()

    assert ended(client, before["executionArn"]) == before


def test_an_execution_that_ended_is_written_once(again: Any, operate_on: Any, passing: Any, tmp_path: Path) -> None:
    client = again()
    passing(client, "once")
    operate_on(client, "create", "first", _bucket("first"))
    contents = tmp_path / "state" / "aws" / "saved" / "contents"
    written = {file.name: file.stat().st_mtime_ns for file in contents.iterdir()}

    operate_on(client, "create", "second", _bucket("second"))

    assert {file.name: file.stat().st_mtime_ns for file in contents.iterdir()} == written
    assert len(written) == 1


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_endpoints_serve_again_without_their_artifact(
    end: str,
    own_aws: EmbeddedAws,
    kill: Any,
    again: Any,
    publish: Any,
    endpoint_resources: Any,
    operate_on: Any,
    tmp_path: Path,
) -> None:
    client = again()
    artifact = publish(client)
    assert operate_on(client, "create", "serving", endpoint_resources(artifact)) == "CREATE_COMPLETE"
    for item in client("s3").list_objects_v2(Bucket="models")["Contents"]:
        client("s3").delete_object(Bucket="models", Key=item["Key"])
    (name, before) = next(iter(own_aws.status().endpoints.items()))

    own_aws.down() if end == "stop" else kill()
    client = again()

    after = own_aws.status().endpoints[name]
    assert after["status"] == "InService"
    assert after["pids"] != before["pids"]
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"inputs": {"bytes": [[0] * 2048]}})
    )
    assert json.loads(answer["Body"].read())["outputs"]
    assert operate_on(client, "delete", "serving") == "DELETE_COMPLETE"
    assert list((tmp_path / "state" / "aws" / "models").iterdir()) == []
