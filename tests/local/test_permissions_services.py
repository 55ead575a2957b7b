"""Services do in a role's name what the role may: state machines, jobs, endpoints and rules."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.account import ACCOUNT
from tests.local.roles import ANYTHING, Role, allow, refusal

Clients = Callable[[str], Any]


@pytest.fixture
def run(client: Clients, eventually: Any) -> Callable[..., dict[str, Any]]:
    """Run a state machine of one task as a role; the execution's description."""

    def go(role: Role, resource: str, arguments: dict[str, Any]) -> dict[str, Any]:
        task = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
        definition = {"QueryLanguage": "JSONata", "StartAt": "Task", "States": {"Task": task}}
        states = client("stepfunctions")
        machine = states.create_state_machine(
            name=f"machine-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role.arn
        )["stateMachineArn"]
        started = states.start_execution(stateMachineArn=machine)["executionArn"]

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = states.describe_execution(executionArn=started)
            return None if described["status"] == "RUNNING" else described

        execution: dict[str, Any] = eventually(ended, within=60)
        return execution

    return go


def test_a_state_machine_calls_the_functions_its_role_may_call(role, function, run):
    called = function("def handler(event, context):\n    return 1\n", role().arn)
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{called}"
    its = role(allow("lambda:InvokeFunction", f"{arn}-other"), service="states")
    task = ("arn:aws:states:::lambda:invoke", {"FunctionName": arn, "Payload": {}})

    refused = run(its, *task)
    assert (refused["status"], refused["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {arn}" in refused["cause"]

    its.may(allow("lambda:InvokeFunction", arn))
    assert run(its, *task)["status"] == "SUCCEEDED"


def test_a_state_machine_may_only_pass_on_the_roles_it_is_granted(role, run, job_request, bucket):
    job = job_request(bucket, RoleArn=role(service="sagemaker").arn)
    its = role(allow(["sagemaker:*", "events:*"]), service="states")
    refused = run(its, "arn:aws:states:::sagemaker:createProcessingJob.sync", job)
    assert refused["error"] == "SageMaker.AmazonSageMakerException"
    assert "iam:PassRole" in refused["cause"]


def test_a_job_reads_and_writes_what_its_role_may(role, client, finished, job_request, bucket):
    client("s3").put_object(Bucket=bucket, Key="code/main.py", Body="print(1)")
    its = role(
        allow(["ecr:*", "logs:*", "cloudwatch:*", "s3:ListBucket"]),
        allow("s3:PutObject", f"arn:aws:s3:::{bucket}/out/*"),
        service="sagemaker",
    )
    request = job_request(bucket, RoleArn=its.arn)
    client("sagemaker").create_processing_job(**request)
    ended = finished(client, request["ProcessingJobName"])
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "s3:GetObject" in ended["FailureReason"] or "Forbidden" in ended["FailureReason"]


def test_a_job_whose_role_may_not_pull_its_image_does_not_start(role, client, finished, job_request, bucket):
    request = job_request(bucket, RoleArn=role(allow("s3:*"), service="sagemaker").arn)
    client("sagemaker").create_processing_job(**request)
    reason = finished(client, request["ProcessingJobName"])["FailureReason"]
    assert "ecr:GetAuthorizationToken" in reason


def test_sagemaker_takes_on_no_role_that_does_not_trust_it(role, client, job_request, bucket):
    request = job_request(bucket, RoleArn=role(*ANYTHING).arn)
    code, _, message = refusal(client("sagemaker").create_processing_job, **request)
    assert code == "ValidationException"
    assert "allows principal 'sagemaker.amazonaws.com' to assume the role" in message


def test_an_endpoint_whose_role_may_not_read_the_artifact_fails(role, client, settled, model_request, artifact):
    its = role(allow(["ecr:*", "logs:*", "cloudwatch:*", "s3:ListBucket"]), service="sagemaker")
    request = model_request(its.arn)
    source = {"S3Uri": artifact, "S3DataType": "S3Prefix", "CompressionType": "None"}
    request["PrimaryContainer"]["ModelDataSource"] = {"S3DataSource": source}
    name = request["ModelName"]
    sagemaker = client("sagemaker")
    sagemaker.create_model(**request)
    variant = {"VariantName": "Main", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    ended = settled(name)
    assert ended["EndpointStatus"] == "Failed"
    assert "Failed to download model data" in ended["FailureReason"]
    sagemaker.delete_endpoint(EndpointName=name)


def test_a_rule_calls_the_functions_that_let_it(role, function, client, bucket, eventually):
    its = role(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    source = f"""
import boto3
def handler(event, context):
    boto3.client("s3").put_object(Bucket="{bucket}", Key=event["detail"]["key"], Body=b"")
"""
    called = function(source, its.arn)
    name, events = f"rule-{uuid.uuid4().hex[:8]}", client("events")
    arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{called}"}])

    def send(key: str) -> None:
        events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": json.dumps({"key": key})}])

    send("before")
    client("lambda").add_permission(
        FunctionName=called,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=arn,
    )
    send("after")

    eventually(lambda: "Contents" in client("s3").list_objects_v2(Bucket=bucket, Prefix="after"), within=60)
    assert "Contents" not in client("s3").list_objects_v2(Bucket=bucket, Prefix="before")
