"""Roles may do on the embedded AWS what their policies say and nothing else, and are refused in AWS's words."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]
_ACCOUNT = "000000000000"
_ANYTHING = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]


def allow(actions: Any, resources: Any = "*", **condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **condition}


@dataclass(frozen=True)
class Role:
    """A role of a test."""

    arn: str
    iam: Any

    @property
    def name(self) -> str:
        return self.arn.rpartition("/")[2]

    def may(self, *statements: dict[str, Any]) -> None:
        """Its policy from now on."""
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        self.iam.put_role_policy(RoleName=self.name, PolicyName="P", PolicyDocument=json.dumps(document))


@pytest.fixture
def role(client: Clients) -> Callable[..., Role]:
    """A role that one service may take on and that may do these things."""

    def make(*statements: dict[str, Any], service: str = "lambda") -> Role:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": _ACCOUNT}},
        }
        made = client("iam").create_role(
            RoleName=f"role-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )
        found = Role(made["Role"]["Arn"], client("iam"))
        if statements:
            found.may(*statements)
        return found

    return make


@pytest.fixture
def acting(client: Clients, embedded_aws: EmbeddedAws) -> Callable[[Role], Clients]:
    """Clients that act as a role."""

    def clients(role: Role) -> Clients:
        keys = client("sts").assume_role(RoleArn=role.arn, RoleSessionName="test")["Credentials"]
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1"
        )
        config = Config(retries={"total_max_attempts": 1})
        return lambda service: session.client(service, endpoint_url=embedded_aws.url, config=config)

    return clients


@pytest.fixture
def bucket(client: Clients) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=name)
    client("s3").put_object(Bucket=name, Key="source/model.onnx", Body=b"model")
    return name


@pytest.fixture
def key(client: Clients) -> str:
    """A KMS key of the account; its ARN."""
    return str(client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def function(client: Clients) -> Callable[..., str]:
    """A Lambda function with a role; its name."""

    def make(source: str, role: str, **more: Any) -> str:
        name = f"function-{uuid.uuid4().hex[:8]}"
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("main.py", source)
        client("lambda").create_function(
            FunctionName=name, Runtime="python3.13", Handler="main.handler", Role=role,
            Code={"ZipFile": code.getvalue()}, Timeout=30, **more,
        )  # fmt: skip
        return name

    return make


@pytest.fixture
def call(client: Clients) -> Callable[[str], dict[str, Any]]:
    def invoke(name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(client("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read())
        return answer

    return invoke


def refusal(operation: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        operation(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


# -- who asks ------------------------------------------------------------------------------------------------------


_READER = """
import boto3, json
def handler(event, context):
    try:
        return boto3.client("s3").get_object(Bucket="{bucket}", Key="source/model.onnx")["Body"].read().decode()
    except Exception as error:
        return str(error)
"""


def test_a_function_may_do_what_its_role_may(role, function, call, bucket):
    made = function(_READER.format(bucket=bucket), role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")).arn)
    assert call(made) == "model"


def test_a_function_is_refused_what_its_role_may_not(role, function, call, bucket):
    its = role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/other/*"))
    made = function(_READER.format(bucket=bucket), its.arn)
    assert call(made) == (
        "An error occurred (AccessDenied) when calling the GetObject operation: User: "
        f"arn:aws:sts::{_ACCOUNT}:assumed-role/{its.name}/{made} is not authorized to perform: s3:GetObject on "
        f"resource: arn:aws:s3:::{bucket}/source/model.onnx because no identity-based policy allows the "
        "s3:GetObject action"
    )


def test_what_a_role_may_can_change_while_the_function_stays(role, function, call, bucket):
    its = role(allow("s3:GetObject", "*"))
    made = function(_READER.format(bucket=bucket), its.arn)
    assert call(made) == "model"
    its.may(allow("s3:GetObject", "*"), {"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    assert "with an explicit deny in an identity-based policy" in call(made)


def test_lambda_takes_on_no_role_that_does_not_trust_it(role, function, call, bucket):
    made = function(_READER.format(bucket=bucket), role(*_ANYTHING, service="sagemaker").arn)
    assert "lambda.amazonaws.com is not authorized to assume the role" in call(made)["errorMessage"]


def test_a_functions_variables_are_decrypted_by_its_role(role, function, call, key):
    its = role()
    made = function(
        "def handler(event, context):\n    return 1\n", its.arn, KMSKeyArn=key, Environment={"Variables": {"A": "b"}}
    )
    assert call(made)["errorType"] == "KMSAccessDeniedException"
    its.may(allow("kms:Decrypt", key))
    assert call(made) == 1


def test_the_developer_is_the_administrator(client, bucket):
    client("s3").put_object(Bucket=bucket, Key="anything", Body=b"")


def test_who_asks_is_the_roles_session(role, acting):
    its = role()
    assert acting(its)("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{_ACCOUNT}:assumed-role/{its.name}/test"


# -- the protocols -------------------------------------------------------------------------------------------------


_TOPIC = f"arn:aws:sns:us-east-1:{_ACCOUNT}:t"
_ITEM = {"TableName": "t", "Key": {"k": {"S": "a"}}}
_EVENTS = {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}
_JSON, _QUERY, _REST = ("AccessDeniedException", 400), ("AccessDenied", 403), ("AccessDeniedException", 403)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "form", "action"),
    [
        ("dynamodb", "get_item", _ITEM, _JSON, "dynamodb:GetItem"),
        ("sagemaker", "describe_endpoint", {"EndpointName": "e"}, _JSON, "sagemaker:DescribeEndpoint"),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, _REST, "sagemaker:InvokeEndpoint"),
        ("autoscaling", "describe_auto_scaling_groups", {}, _QUERY, "autoscaling:DescribeAutoScalingGroups"),
        ("ec2", "describe_images", {}, ("UnauthorizedOperation", 403), "ec2:DescribeImages"),
        ("cloudwatch", "delete_alarms", {"AlarmNames": ["a"]}, _JSON, "cloudwatch:DeleteAlarms"),
        ("events", "put_events", _EVENTS, _JSON, "events:PutEvents"),
        ("sns", "publish", {"TopicArn": _TOPIC, "Message": "m"}, _QUERY, "sns:Publish"),
        ("lambda", "invoke", {"FunctionName": "f"}, _REST, "lambda:InvokeFunction"),
        ("s3", "list_objects_v2", {"Bucket": "b"}, _QUERY, "s3:ListBucket"),
    ],
)
def test_a_refusal_is_in_the_services_own_form(role, acting, service, operation, arguments, form, action):
    told = refusal(getattr(acting(role())(service), operation), **arguments)
    assert told[:2] == form
    assert f"is not authorized to perform: {action} on resource: " in told[2]


def test_an_operation_nobody_described_is_refused_and_says_where_to_describe_it(role, acting):
    code, _, message = refusal(acting(role(*_ANYTHING))("sagemaker").list_training_jobs)
    assert code == "AccessDeniedException"
    assert "sagemaker:ListTrainingJobs" in message
    assert "neuron_cdk/local/server/iam/operations.py" in message


# -- resources and conditions ----------------------------------------------------------------------------------------


def test_a_missing_object_is_denied_without_the_listing_and_not_found_with_it(role, acting, bucket):
    its = role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    s3 = acting(its)("s3")
    assert refusal(s3.head_object, Bucket=bucket, Key="source/none")[1] == 403
    its.may(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"))
    assert refusal(s3.head_object, Bucket=bucket, Key="source/none")[1] == 404


def test_a_listing_is_of_the_prefixes_it_is_granted_for(role, acting, bucket):
    condition = {"StringLike": {"s3:prefix": "source/*"}}
    s3 = acting(role(allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=condition)))("s3")
    assert s3.list_objects_v2(Bucket=bucket, Prefix="source/")["KeyCount"] == 1
    assert refusal(s3.list_objects_v2, Bucket=bucket, Prefix="")[0] == "AccessDenied"


def test_a_version_is_another_right(role, acting, bucket, client):
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    s3 = acting(role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")))("s3")
    assert "s3:GetObjectVersion" in refusal(s3.get_object, Bucket=bucket, Key="a", VersionId=version)[2]


def test_a_copy_reads_its_source(role, acting, bucket):
    s3 = acting(role(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*")))("s3")
    source = {"Bucket": bucket, "Key": "source/model.onnx"}
    assert "s3:GetObject" in refusal(s3.copy_object, Bucket=bucket, Key="copy", CopySource=source)[2]


def test_a_buckets_own_policy_may_deny(role, acting, bucket, client):
    closed = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [closed]}))
    told = refusal(acting(role(*_ANYTHING))("s3").get_object, Bucket=bucket, Key="source/model.onnx")
    assert "with an explicit deny in a resource-based policy" in told[2]


def test_objects_under_a_customers_key_need_the_key(role, acting, bucket, client, key):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*")
    its = role(objects)
    s3 = acting(its)("s3")
    assert "kms:Decrypt" in refusal(s3.get_object, Bucket=bucket, Key="source/model.onnx")[2]
    assert "kms:GenerateDataKey" in refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"")[2]
    its.may(objects, allow(["kms:Decrypt", "kms:GenerateDataKey"], key))
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    s3.get_object(Bucket=bucket, Key="a")


def test_a_key_whose_policy_leaves_the_account_out_serves_none_of_its_roles(role, acting, client, key):
    theirs = allow("kms:*") | {"Principal": {"Service": "logs.us-east-1.amazonaws.com"}}
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Statement": [theirs]}))
    told = refusal(acting(role(*_ANYTHING))("kms").generate_data_key, KeyId=key, KeySpec="AES_256")
    assert "because no resource-based policy allows the kms:GenerateDataKey action" in told[2]


def test_items_are_of_the_keys_they_are_granted_for(role, acting, client):
    table = f"table-{uuid.uuid4().hex[:8]}"
    client("dynamodb").create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "artifact_key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "artifact_key", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["endpoint#a"]}}
    its = role(allow("dynamodb:GetItem", f"arn:aws:dynamodb:us-east-1:{_ACCOUNT}:table/{table}", Condition=condition))
    database = acting(its)("dynamodb")
    database.get_item(TableName=table, Key={"artifact_key": {"S": "endpoint#a"}})
    told = refusal(database.get_item, TableName=table, Key={"artifact_key": {"S": "endpoint#b"}})
    assert told[0] == "AccessDeniedException"


def test_metrics_are_of_the_namespaces_they_are_granted_for(role, acting):
    condition = {"StringLike": {"cloudwatch:namespace": "NeuronCdk/*"}}
    metrics = acting(role(allow("cloudwatch:PutMetricData", "*", Condition=condition)))("cloudwatch")
    metrics.put_metric_data(Namespace="NeuronCdk/Fleet", MetricData=[{"MetricName": "m", "Value": 1}])
    told = refusal(metrics.put_metric_data, Namespace="Other", MetricData=[{"MetricName": "m", "Value": 1}])
    assert told[0] == "AccessDeniedException"


def test_groups_are_of_the_tags_they_are_granted_for(role, acting, group):
    mine = group(Tags=[{"Key": "neuron-cdk:fleet", "Value": "a", "PropagateAtLaunch": True}])
    other = group(Tags=[{"Key": "neuron-cdk:fleet", "Value": "b", "PropagateAtLaunch": True}])
    condition = {"StringEquals": {"autoscaling:ResourceTag/neuron-cdk:fleet": "a"}}
    groups = f"arn:aws:autoscaling:us-east-1:{_ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/*"
    scaling = acting(role(allow("autoscaling:SetDesiredCapacity", groups, Condition=condition)))("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=mine, DesiredCapacity=0)
    told = refusal(scaling.set_desired_capacity, AutoScalingGroupName=other, DesiredCapacity=0)
    assert told[0] == "AccessDenied"


def test_a_role_is_passed_on_to_the_service_it_is_granted_for(role, acting, model_request):
    passed = role(service="sagemaker").arn
    its = role(allow("sagemaker:CreateModel"))
    sagemaker = acting(its)("sagemaker")
    assert f"iam:PassRole on resource: {passed}" in refusal(sagemaker.create_model, **model_request(passed))[2]
    wrong = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    its.may(allow("sagemaker:CreateModel"), allow("iam:PassRole", passed, Condition=wrong))
    assert "iam:PassRole" in refusal(sagemaker.create_model, **model_request(passed))[2]
    right = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    its.may(allow("sagemaker:CreateModel"), allow("iam:PassRole", passed, Condition=right))
    sagemaker.create_model(**model_request(passed))


def test_a_group_gets_a_launch_template_from_who_may_launch_from_it(role, acting, client, group, launch_template):
    instances = role(service="ec2")
    profile = f"profile-{uuid.uuid4().hex[:8]}"
    client("iam").create_instance_profile(InstanceProfileName=profile)
    client("iam").add_role_to_instance_profile(InstanceProfileName=profile, RoleName=instances.name)
    template = launch_template(IamInstanceProfile={"Name": profile})
    name = group()
    update, run = allow("autoscaling:UpdateAutoScalingGroup"), allow("ec2:RunInstances")
    its = role(update)
    scaling = acting(its)("autoscaling")
    wanted = {"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"}}

    assert "ec2:RunInstances" in refusal(scaling.update_auto_scaling_group, **wanted)[2]
    its.may(update, run)
    assert f"iam:PassRole on resource: {instances.arn}" in refusal(scaling.update_auto_scaling_group, **wanted)[2]
    its.may(update, run, allow("iam:PassRole", instances.arn))
    scaling.update_auto_scaling_group(**wanted)
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=4)


@pytest.fixture
def model_request() -> Callable[[str], dict[str, Any]]:
    image = f"{_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/neuron-cdk-cpu:onnxruntime-1.32.0"

    def make(role: str) -> dict[str, Any]:
        name = f"model-{uuid.uuid4().hex[:8]}"
        return {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": {"Image": image}}

    return make


# -- services in a role's name ---------------------------------------------------------------------------------------


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
    arn = f"arn:aws:lambda:us-east-1:{_ACCOUNT}:function:{called}"
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
    request = job_request(bucket, RoleArn=role(*_ANYTHING).arn)
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
    events.put_targets(
        Rule=name, Targets=[{"Id": "1", "Arn": f"arn:aws:lambda:us-east-1:{_ACCOUNT}:function:{called}"}]
    )

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


# -- what is told ------------------------------------------------------------------------------------------------------


def test_what_was_used_outlives_the_server(own_aws, clients_of, operate_on):
    own_aws.up()
    client = clients_of(own_aws)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [allow(["s3:ListAllMyBuckets", "s3:PutObject"])]}
    properties = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "P", "PolicyDocument": policy}],
    }
    operate_on(client, "create", "stack", {"HookRole": {"Type": "AWS::IAM::Role", "Properties": properties}})
    (made,) = client("cloudformation").describe_stack_resources(StackName="stack")["StackResources"]
    arn = client("iam").get_role(RoleName=made["PhysicalResourceId"])["Role"]["Arn"]
    keys = client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1")
    session.client("s3", endpoint_url=own_aws.url).list_buckets()
    own_aws.down()
    own_aws.up()
    (told,) = own_aws.permissions()["roles"]
    assert (told["used"], told["unused"]) == (["s3:ListAllMyBuckets on *"], ["s3:PutObject on *"])


def test_what_roles_used_and_what_they_never_used_is_told(embedded_aws, operate, client, function, call, bucket):
    stack = f"stack-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {
        "Version": "2012-10-17",
        "Statement": [allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*")],
    }
    properties = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "P", "PolicyDocument": policy}],
    }
    operate("create", stack, {"HookRole": {"Type": "AWS::IAM::Role", "Properties": properties}})
    (made,) = client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    arn = client("iam").get_role(RoleName=made["PhysicalResourceId"])["Role"]["Arn"]
    call(function(_READER.format(bucket=bucket), arn))

    (told,) = [one for one in embedded_aws.permissions()["roles"] if one["role"] == arn]

    assert (told["stack"], told["logical_id"]) == (stack, "HookRole")
    assert told["used"] == [f"s3:GetObject on arn:aws:s3:::{bucket}/*"]
    assert told["unused"] == [f"s3:PutObject on arn:aws:s3:::{bucket}/*"]
    assert any("logs:CreateLogStream" in message for message in told["refused"])
