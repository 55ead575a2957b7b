"""``neuron-cdk fleets`` against the embedded AWS: a fleet's stack as outputs, a group and a controller make it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).parents[2]
Clients = Callable[[str], Any]

_CONTROLLER = """
def handler(event, context):
    if event["action"] == "target" and event["target"] > 8:
        raise ValueError(f"target {event['target']} is outside 1 to 8")
    return {"state": {"target": 2}}
"""


def _stack(*, owns_size: bool) -> dict[str, Any]:
    by_lambda = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [by_lambda]}
    return {
        "Resources": {
            "Template": {
                "Type": "AWS::EC2::LaunchTemplate",
                "Properties": {
                    "LaunchTemplateData": {"ImageId": "ami-0123456789abcdef0", "InstanceType": "inf2.xlarge"}
                },
            },
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
            "Subnet": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24", "AvailabilityZoneId": "use1-az5"},
            },
            "Group": {
                "Type": "AWS::AutoScaling::AutoScalingGroup",
                "Properties": {
                    "MinSize": "0",
                    "MaxSize": "4",
                    "VPCZoneIdentifier": [{"Ref": "Subnet"}],
                    "LaunchTemplate": {
                        "LaunchTemplateId": {"Ref": "Template"},
                        "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
                    },
                },
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
            "Controller": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Code": {"ZipFile": _CONTROLLER},
                    "Handler": "index.handler",
                    "Runtime": "python3.11",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Environment": {"Variables": {"FLEET": json.dumps({"owns_size": owns_size})}},
                },
            },
        },
        "Outputs": {
            "AutoScalingGroups": {"Value": {"Fn::Join": ["", ["on-demand=", {"Ref": "Group"}]]}},
            "Controller": {"Value": {"Ref": "Controller"}},
        },
    }


@pytest.fixture(scope="module", params=[True, False], ids=["the controller's size", "the group's size"])
def owns_size(request: pytest.FixtureRequest, client: Clients, operate_on: Any, eventually: Any) -> Iterator[bool]:
    """Whether the controller of fleet ``serve``, which is deployed, owns its size."""
    cloudformation = client("cloudformation")
    body = json.dumps(_stack(owns_size=request.param))
    cloudformation.create_stack(StackName="shown-Fleet-serve", TemplateBody=body)

    def status() -> str:
        return str(cloudformation.describe_stacks(StackName="shown-Fleet-serve")["Stacks"][0]["StackStatus"])

    eventually(lambda: status() == "CREATE_COMPLETE")
    yield request.param
    operate_on(client, "delete", "shown-Fleet-serve")


@pytest.fixture
def fleets(embedded_aws: EmbeddedAws, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    fleet = {"purpose": "inference", "instance_types": ["inf2.xlarge"], "size": {"min": 1, "max": 8}}
    path = tmp_path / "shown.yaml"
    content = {
        "name": "shown",
        "environment": {"account": "000000000000", "region": "us-east-1"},
        "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "nat"},
        "fleets": {"serve": fleet, "later": fleet},
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'infra')!r}); import neuron_cdk.cli as cli; cli.main()"

    def run(command: str, *words: str) -> subprocess.CompletedProcess[str]:
        where = ["--state", str(embedded_aws.state_dir)]
        return subprocess.run(
            [sys.executable, "-c", script, "fleets", command, str(path), *words, *where],
            capture_output=True,
            text=True,
            timeout=300,
            env={"PATH": "/usr/bin:/bin"},
        )

    return run


def test_every_fleet_of_the_file_is_listed(owns_size: bool, fleets: Any) -> None:
    done = fleets("list")

    assert done.returncode == 0, done.stderr
    header, serve, later = done.stdout.splitlines()
    assert header.split() == ["fleet", "target", "desired", "in", "service", "pools"]
    assert serve.split() == ["serve", "2" if owns_size else "0", "0", "0", "on-demand", "0/0"]
    assert later.split() == ["later", "-", "-", "-", "not", "deployed"]


def test_one_fleet_is_shown_with_its_groups(owns_size: bool, fleets: Any, client: Clients) -> None:
    told = json.loads(fleets("show", "serve", "--json").stdout)

    (pool,) = told["pools"]
    group = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[pool["group"]])
    assert group["AutoScalingGroups"][0]["MaxSize"] == pool["max"] == 4
    assert (told["stack"], told["target"]) == ("shown-Fleet-serve", 2 if owns_size else 0)
    assert (told["owns_size"], told["told"]) == (owns_size, {"state": {"target": 2}})
    assert "shown-Fleet-later" in fleets("show", "later").stderr
    assert fleets("show", "nobody").returncode == 2


def test_scaling_goes_to_whom_the_size_belongs(owns_size: bool, fleets: Any, client: Clients, eventually: Any) -> None:
    done = fleets("scale", "serve", "3")

    assert (done.returncode, done.stdout) == (0, f"serve: target 3, was {2 if owns_size else 0}\n"), done.stderr
    pool = json.loads(fleets("show", "serve", "--json").stdout)["pools"][0]
    assert pool["desired"] == (0 if owns_size else 3)


def test_what_is_refused_is_told_and_1(owns_size: bool, fleets: Any) -> None:
    done = fleets("scale", "serve", "9")

    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert ("target 9 is outside 1 to 8" if owns_size else "a target of 9 is not within 0 to 4") in said
