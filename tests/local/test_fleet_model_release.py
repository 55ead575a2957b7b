"""Models released to a fleet on the embedded AWS: without a stack's update, taken back when bad, kept by later deploys.

The fleet's own construct, hooks and machine; its instances are the embedded AWS's, which boot and say that they are
ready, or give up. What compiles models is a function of the test's, since no Neuron compiler is here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from neuron_cdk import ArtifactStore, CompiledModel, NeuronFleet, spec
from neuron_cdk.local import EmbeddedAws
from tests.local import cloud_assembly

NAME, TARGET = "served", "fleet/serve"
ROOT = Path(__file__).resolve().parents[2]
SPEED = 120  # half an hour of stops is a quarter of a minute
COMPILER = """
import hashlib, json, urllib.request
def handler(event, context):
    key = hashlib.sha256(json.dumps(event["ResourceProperties"].get("Model"), sort_keys=True).encode()).hexdigest()
    answer = {
        "Status": "SUCCESS", "PhysicalResourceId": key, "StackId": event["StackId"], "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"ArtifactKey": key, "ArtifactUri": f"s3://artifacts/artifacts/{key}/1/"},
    }
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=body, method="PUT"))
"""


def uri(key: str) -> str:
    return f"s3://artifacts/artifacts/{key}/1/"


class Compiler(Construct):
    """A pipeline that is the test's function, and is allowed everything."""

    def __init__(self, scope: Construct, construct_id: str, store: ArtifactStore, function: str) -> None:
        super().__init__(scope, construct_id)
        self.store, self.service_token = store, function

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("allow_", "watch")):
            return lambda *_, **__: None
        raise AttributeError(name)


class Released:
    """The stack with the fleet, what is released to it, and what its instances run."""

    def __init__(self, aws: EmbeddedAws, folder: Path, eventually: Callable[..., Any]) -> None:
        self.aws, self._folder, self.eventually = aws, folder, eventually
        session = boto3.Session("test", "test", region_name="us-east-1")
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in made:
                made[service] = session.client(service, endpoint_url=aws.url)
            return made[service]

        self.client = client
        self.stack = cloud_assembly.Stack(client, NAME, eventually)
        self.compiler = self._compiler()

    def _compiler(self) -> str:
        code = self._folder / "compiler"
        code.mkdir()
        (code / "index.py").write_text(COMPILER)
        lambda_may = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [lambda_may]})
        role = self.client("iam").create_role(RoleName="compiler", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        made = self.client("lambda").create_function(
            FunctionName="compiler",
            Runtime="python3.12",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": cloud_assembly.zipped(code)},
        )
        return str(made["FunctionArn"])

    def deploy(self, *, most: int = 4, ami: str = "ami-00000000000000001", argument: str = "-O1") -> str:
        """The fleet with these fields, as the CDK deploys it; how that ended."""
        context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
        out = self._folder / f"out-{uuid.uuid4().hex[:8]}"
        app = App(analytics_reporting=False, outdir=str(out), context=context)
        stack = Stack(app, NAME, env=Environment(account="000000000000", region="us-east-1"))
        store = ArtifactStore(stack, "Store")
        pipeline = Compiler(stack, "Pipeline", store, self.compiler)
        compile_options = {"engine": "torch-neuronx", "target": "inf2", "compiler_args": [argument]}
        wanted = {"source": {"s3": "s3://models/m/"}, "task": "t", "compile": compile_options}
        model = CompiledModel(
            stack,
            "Model",
            pipeline=pipeline,  # type: ignore[arg-type]
            name="m",
            model=spec.Model.model_validate(wanted),
        )
        vpc = ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-00000001",
            availability_zones=["us-east-1a", "us-east-1b"],
            private_subnet_ids=["subnet-00000001", "subnet-00000002"],
            private_subnet_route_table_ids=["rtb-00000001", "rtb-00000001"],
        )
        NeuronFleet(
            stack,
            "Fleet",
            vpc=vpc,
            store=store,
            purpose="inference",
            instance_types=["inf2.xlarge", "inf2.8xlarge"],
            size=spec.Size(min=2, max=most),
            capacity=[spec.Spot(kind="spot"), spec.OnDemand(kind="on-demand", base=1)],
            ami=ami,
            model=model,
            managed_by="pipeline",
            release_name="serve",
            refresh=spec.Refresh(min_healthy_percent=50, checkpoints=(50, 100), bake_minutes=1),
        )
        app.synth()
        cloud_assembly.publish(self.client, out)
        return self.stack.bring((out / f"{NAME}.template.json").read_text())

    def record(self) -> dict[str, Any]:
        """What the registry holds of the fleet's releases."""
        table = next(one for one in self.stack.physical_ids().values() if one[0] == "AWS::DynamoDB::GlobalTable")[1]
        key = {"artifact_key": {"S": f"release#{TARGET}"}}
        item = self.client("dynamodb").get_item(TableName=table, Key=key).get("Item")
        return dict(json.loads(item["document"]["S"])) if item else {}

    def arrive(self, key: str) -> None:
        """A new artifact comes in, as a watched source has it compiled."""
        detail = {"version": 1, "model": "m", "key": key, "artifact_uri": uri(key), "trigger": "watch"}
        event = {"Source": "neuron-cdk.models", "DetailType": "Neuron Artifact Ready", "Detail": json.dumps(detail)}
        self.client("events").put_events(Entries=[event])

    def ended(self, key: str) -> dict[str, Any]:
        """How the release of an artifact ended, once it has."""

        def past() -> dict[str, Any] | None:
            record = self.record()
            found = [one for one in record["history"] if one["artifact_key"] == key]
            return dict(found[0]) if found and not record["pending"] else None

        return dict(self.eventually(past))

    def is_taken_back(self) -> bool:
        return (self.record()["pending"] or {}).get("stage") == "back"

    def groups(self) -> list[dict[str, Any]]:
        names = [
            physical
            for kind, physical in self.stack.physical_ids().values()
            if kind == "AWS::AutoScaling::AutoScalingGroup"
        ]
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)
        return list(found["AutoScalingGroups"])

    def in_service(self) -> list[str]:
        return sorted(
            one["InstanceId"]
            for group in self.groups()
            for one in group["Instances"]
            if one["LifecycleState"] == "InService"
        )

    def running(self) -> set[tuple[str, str]]:
        """Image and artifact of the instances in service."""
        found = set()
        for group in self.groups():
            for one in group["Instances"]:
                if one["LifecycleState"] == "InService":
                    found.add(self._made_of(one["LaunchTemplate"]))
        return found

    def launched(self) -> set[tuple[str, str]]:
        """Image and artifact of what the groups would launch now."""
        return {
            self._made_of(group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"])
            for group in self.groups()
        }

    def _made_of(self, named: dict[str, str]) -> tuple[str, str]:
        (version,) = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=named["LaunchTemplateId"], Versions=[named["Version"]]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        (line,) = [each for each in base64.b64decode(data["UserData"]).decode().splitlines() if "ARTIFACT_URI=" in each]
        return data["ImageId"], line.split("'")[1]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]) -> Iterator[Released]:
    """Deployed, its two instances in service."""
    folder = tmp_path_factory.mktemp("released")
    aws = EmbeddedAws(folder / "state", port=0)
    aws.up()
    try:
        aws.set_clock(speed=SPEED)
        made = Released(aws, folder, eventually)
        cloud_assembly.prepare(made.client)
        status = made.deploy()
        assert status == "CREATE_COMPLETE", made.stack.failures()
        eventually(lambda: len(made.in_service()) == 2)
        yield made
    finally:
        aws.down(delete_state=True)


AMI, OTHER_AMI = "ami-00000000000000001", "ami-00000000000000002"
NEW, BAD = hashlib.sha256(b"new").hexdigest(), hashlib.sha256(b"bad").hexdigest()


def test_a_deploy_releases_what_it_compiled(fleet: Released) -> None:
    record = fleet.record()
    assert record["current"]["artifact_key"] == record["declared_key"]
    assert fleet.running() == {(AMI, uri(record["declared_key"]))}
    assert [one["outcome"] for one in record["history"]] == ["released"]


def test_a_new_artifact_replaces_every_instance_without_a_deploy(fleet: Released) -> None:
    before, deployed = fleet.in_service(), fleet.stack.description().get("LastUpdatedTime")

    fleet.arrive(NEW)

    assert fleet.ended(NEW)["outcome"] == "released"

    assert fleet.running() == fleet.launched() == {(AMI, uri(NEW))}
    assert set(before).isdisjoint(fleet.in_service())
    assert fleet.stack.description().get("LastUpdatedTime") == deployed


def test_one_that_does_not_come_up_is_taken_back(fleet: Released) -> None:
    fleet.aws.control("instances", {"launch": "abandon", "boot_s": 300})
    fleet.arrive(BAD)
    fleet.eventually(fleet.is_taken_back)
    fleet.aws.control("instances", {"launch": "continue", "boot_s": 30})  # the model before comes up

    past = fleet.ended(BAD)
    assert past["outcome"] == "rolled back"
    assert "instances do not come into service" in past["reason"]
    assert fleet.running() == fleet.launched() == {(AMI, uri(NEW))}
    assert fleet.record()["current"]["artifact_key"] == NEW


def test_a_deploy_that_changes_the_groups_leaves_instances_and_artifact_alone(fleet: Released) -> None:
    before = fleet.in_service()
    assert fleet.deploy(most=5) == "UPDATE_COMPLETE", fleet.stack.failures()
    assert {group["MaxSize"] for group in fleet.groups()} == {5}
    assert fleet.launched() == {(AMI, uri(NEW))}
    assert fleet.in_service() == before


def test_a_deploy_of_another_image_keeps_the_released_artifact(fleet: Released) -> None:
    assert fleet.deploy(most=5, ami=OTHER_AMI) == "UPDATE_COMPLETE", fleet.stack.failures()
    assert fleet.running() == fleet.launched() == {(OTHER_AMI, uri(NEW))}


def test_a_deploy_of_another_model_releases_that(fleet: Released) -> None:
    assert fleet.deploy(most=5, ami=OTHER_AMI, argument="-O3") == "UPDATE_COMPLETE", fleet.stack.failures()
    record = fleet.record()
    assert record["current"]["artifact_key"] == record["declared_key"] != NEW
    assert fleet.running() == {(OTHER_AMI, uri(record["declared_key"]))}


def test_a_deploy_of_a_model_that_does_not_come_up_is_taken_back_with_the_stack(fleet: Released) -> None:
    before = fleet.running()
    fleet.aws.control("instances", {"launch": "abandon", "boot_s": 300})
    released = len(fleet.record()["history"])
    ended: list[str] = []
    deploying = threading.Thread(target=lambda: ended.append(fleet.deploy(most=5, ami=OTHER_AMI, argument="-O2")))
    deploying.start()
    fleet.eventually(fleet.is_taken_back)
    fleet.aws.control("instances", {"launch": "continue", "boot_s": 30})
    deploying.join()

    assert ended == ["UPDATE_ROLLBACK_COMPLETE"]
    assert "instances do not come into service" in fleet.stack.failures()
    assert fleet.running() == fleet.launched() == before
    assert len(fleet.record()["history"]) > released


def test_nothing_of_the_releases_is_left_when_the_stack_goes(fleet: Released) -> None:
    """Last: the stack is gone after it. The table, which is retained, has no record of the fleet."""
    table = next(one for one in fleet.stack.physical_ids().values() if one[0] == "AWS::DynamoDB::GlobalTable")[1]
    assert fleet.stack.delete() == "DELETE_COMPLETE"
    key = {"artifact_key": {"S": f"release#{TARGET}"}}
    assert "Item" not in fleet.client("dynamodb").get_item(TableName=table, Key=key)
    assert fleet.client("ec2").describe_launch_templates()["LaunchTemplates"] == []
