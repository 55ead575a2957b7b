"""The embedded AWS tells what roles used of their grants, and what they never used."""

from __future__ import annotations

import uuid

import boto3

from tests.local.roles import READER, allow


def _hook_role(statement):
    """A template's resources: a role of Lambda's with this statement."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    properties = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "P", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}],
    }
    return {"HookRole": {"Type": "AWS::IAM::Role", "Properties": properties}}


def _arn(client, stack):
    """The ARN of the role that is a stack's one resource."""
    (made,) = client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return client("iam").get_role(RoleName=made["PhysicalResourceId"])["Role"]["Arn"]


def test_what_was_used_outlives_the_server(own_aws, clients_of, operate_on):
    own_aws.up()
    client = clients_of(own_aws)
    operate_on(client, "create", "stack", _hook_role(allow(["s3:ListAllMyBuckets", "s3:PutObject"])))
    arn = _arn(client, "stack")
    keys = client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1")
    session.client("s3", endpoint_url=own_aws.url).list_buckets()
    own_aws.down()
    own_aws.up()
    (told,) = own_aws.permissions()["roles"]
    assert (told["used"], told["unused"]) == (["s3:ListAllMyBuckets on *"], ["s3:PutObject on *"])


def test_what_roles_used_and_what_they_never_used_is_told(embedded_aws, operate, client, function, call, bucket):
    stack = f"stack-{uuid.uuid4().hex[:8]}"
    operate("create", stack, _hook_role(allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*")))
    arn = _arn(client, stack)
    call(function(READER.format(bucket=bucket), arn))

    (told,) = [one for one in embedded_aws.permissions()["roles"] if one["role"] == arn]

    assert (told["stack"], told["logical_id"]) == (stack, "HookRole")
    assert told["used"] == [f"s3:GetObject on arn:aws:s3:::{bucket}/*"]
    assert told["unused"] == [f"s3:PutObject on arn:aws:s3:::{bucket}/*"]
    assert any("logs:CreateLogStream" in message for message in told["refused"])
