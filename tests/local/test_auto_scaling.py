"""Auto Scaling groups act in the embedded AWS: hours of a fleet's life, in jumps of the clock."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]


def test_events_reach_a_lambda_function(
    client: Clients, embedded_aws: EmbeddedAws, group: Any, eventually: Any
) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "main.py",
            "import boto3, json\n"
            "def handler(event, context):\n"
            "    boto3.client('s3').put_object(Bucket='seen', Key=event['id'], Body=json.dumps(event))\n",
        )
    client("s3").create_bucket(Bucket="seen")
    made = client("lambda").create_function(
        FunctionName="seen",
        Runtime="python3.13",
        Handler="main.handler",
        Role="arn:aws:iam::000000000000:role/neuron",
        Code={"ZipFile": code.getvalue()},
    )
    name = group(DesiredCapacity=0)
    pattern = {"source": ["aws.autoscaling"], "detail": {"AutoScalingGroupName": [name]}}
    client("events").put_rule(Name="seen", EventPattern=json.dumps(pattern))
    client("events").put_targets(Rule="seen", Targets=[{"Id": "function", "Arn": made["FunctionArn"]}])

    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    embedded_aws.set_clock(advance_s=60)

    (seen,) = eventually(lambda: client("s3").list_objects_v2(Bucket="seen").get("Contents"))
    event = json.loads(client("s3").get_object(Bucket="seen", Key=seen["Key"])["Body"].read())
    assert (event["source"], event["detail-type"]) == ("aws.autoscaling", "EC2 Instance Launch Successful")
