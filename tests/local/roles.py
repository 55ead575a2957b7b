"""Roles of tests, that may do what a test lets them, and what is done in their name."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws
from tests.local.account import ACCOUNT, IMAGE

Clients = Callable[[str], Any]

ANYTHING = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
READER = """
import boto3, json
def handler(event, context):
    try:
        return boto3.client("s3").get_object(Bucket="{bucket}", Key="source/model.onnx")["Body"].read().decode()
    except Exception as error:
        return str(error)
"""
"""A function that says what it read of a bucket, or why it could not."""


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
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
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
    """A bucket with an object, source/model.onnx."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=name)
    client("s3").put_object(Bucket=name, Key="source/model.onnx", Body=b"model")
    return name


@pytest.fixture
def key(client: Clients) -> str:
    """A KMS key of the account; its ARN."""
    return str(client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def model_request() -> Callable[[str], dict[str, Any]]:
    """A CreateModel request for a role, its model's name new."""

    def make(role: str) -> dict[str, Any]:
        name = f"model-{uuid.uuid4().hex[:8]}"
        return {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": {"Image": IMAGE}}

    return make


def refusal(operation: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    """How a call is refused: the error's code, the status and the message."""
    with pytest.raises(ClientError) as caught:
        operation(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]
