"""The CDK's command line, which looks at a stack every five seconds, hears of its end at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from neuron_cdk.local import EmbeddedAws

_ANSWER = """
import json, time, urllib.request
def handler(event, context):
    time.sleep(0.5)
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "it"}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT"))
"""
_RESOURCES = {
    "Function": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": "arn:aws:iam::000000000000:role/neuron",
            "Code": {"ZipFile": _ANSWER},
        },
    },
    "Slow": {"Type": "Custom::Slow", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}},
}


def test_only_the_cdk_is_answered_when_the_operation_has_ended(
    client: Callable[[str], Any], embedded_aws: EmbeddedAws, operate: Callable[..., str]
) -> None:
    session = boto3.Session("test", "test", region_name="us-east-1")
    as_the_cdk = session.client(
        "cloudformation",
        endpoint_url=embedded_aws.url,
        config=Config(user_agent_extra="aws-cdk/2.1148.1", read_timeout=600),
    )
    client("cloudformation").create_stack(StackName="slow", TemplateBody=json.dumps({"Resources": _RESOURCES}))

    def status(asking: Any) -> str:
        return str(asking.describe_stacks(StackName="slow")["Stacks"][0]["StackStatus"])

    assert status(client("cloudformation")) == "CREATE_IN_PROGRESS"
    assert status(as_the_cdk) == "CREATE_COMPLETE"
    assert operate("delete", "slow") == "DELETE_COMPLETE"
