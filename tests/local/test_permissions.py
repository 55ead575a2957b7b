"""Who asks on the embedded AWS is a role's session, and is refused what its role may not in AWS's words."""

from __future__ import annotations

import pytest

from tests.local.account import ACCOUNT
from tests.local.roles import ANYTHING, READER, allow, refusal


def test_a_function_may_do_what_its_role_may(role, function, call, bucket):
    made = function(READER.format(bucket=bucket), role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")).arn)
    assert call(made) == "model"


def test_a_function_is_refused_what_its_role_may_not(role, function, call, bucket):
    its = role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/other/*"))
    made = function(READER.format(bucket=bucket), its.arn)
    assert call(made) == (
        "An error occurred (AccessDenied) when calling the GetObject operation: User: "
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{its.name}/{made} is not authorized to perform: s3:GetObject on "
        f"resource: arn:aws:s3:::{bucket}/source/model.onnx because no identity-based policy allows the "
        "s3:GetObject action"
    )


def test_what_a_role_may_can_change_while_the_function_stays(role, function, call, bucket):
    its = role(allow("s3:GetObject", "*"))
    made = function(READER.format(bucket=bucket), its.arn)
    assert call(made) == "model"
    its.may(allow("s3:GetObject", "*"), {"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    assert "with an explicit deny in an identity-based policy" in call(made)


def test_lambda_takes_on_no_role_that_does_not_trust_it(role, function, call, bucket):
    made = function(READER.format(bucket=bucket), role(*ANYTHING, service="sagemaker").arn)
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
    assert acting(its)("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{its.name}/test"


_TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"


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
    code, _, message = refusal(acting(role(*ANYTHING))("sagemaker").list_training_jobs)
    assert code == "AccessDeniedException"
    assert "sagemaker:ListTrainingJobs" in message
    assert "neuron_cdk/local/server/iam/operations.py" in message
