"""A deployed fleet by hand: the doctor, the CDK, another size; and another image, which a refresh brings in or not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from neuron_cdk import spec
from neuron_cdk.local import EmbeddedAws
from stacks import build_app

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")
FILE = """\
name: release
environment: {{account: "000000000000", region: us-east-1}}
network: {{cidr: 10.40.0.0/16, availability_zones: 2, egress: endpoints-only}}
fleets:
  serve:
    purpose: inference
    instance_types: [inf2.xlarge]
    size: {{min: 3, max: 6}}
    ami: {ami}
    refresh: {{min_healthy_percent: 66, checkpoints: [34, 100], bake_minutes: 1}}
  byhand:
    purpose: inference
    instance_types: [inf2.xlarge, inf2.8xlarge]
    size: {{min: 1, max: 4}}
    capacity: [{{kind: spot}}, {{kind: on-demand, base: 1}}]
"""
STACK = "release-Fleet-serve"
OLD, NEW, BROKEN = "ami-00000000000000001", "ami-00000000000000002", "ami-00000000000000003"


class Release:
    """Two fleets, and changes of one's image."""

    def __init__(self, aws: EmbeddedAws, folder: Path, eventually: Callable[..., Any]) -> None:
        self.aws = aws
        self.file = folder / "release.yaml"
        self._folder = folder
        self._eventually = eventually
        self._session = boto3.Session("test", "test", region_name="us-east-1")
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.aws.url)
        return self._clients[service]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [COMMAND, *words, "--state", self.aws.state_dir]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)

    def begin(self, ami: str) -> None:
        """Start the fleet's update to an image, as ``cdk deploy`` does."""
        self.file.write_text(FILE.format(ami=ami))
        out = self._folder / ami
        context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
        build_app(spec.load(self.file).deployment, outdir=str(out), context=context).synth()
        template = (out / f"{STACK}.template.json").read_text()
        self.client("cloudformation").update_stack(StackName=STACK, TemplateBody=template)

    def end(self) -> str:
        """How the update ended."""

        def status() -> str:
            now = str(self.stack()["StackStatus"])
            return "" if now.endswith("_IN_PROGRESS") else now

        return str(self._eventually(status))

    def stack(self) -> dict[str, Any]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return dict(stack)

    def in_service(self, fleet: str) -> list[str]:
        """The ids of a fleet's instances in service."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"release-Fleet-{fleet}")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        names = [pair.partition("=")[2] for pair in outputs["AutoScalingGroups"].split(",")]
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)
        instances = [instance for group in found["AutoScalingGroups"] for instance in group["Instances"]]
        return [one["InstanceId"] for one in instances if one["LifecycleState"] == "InService"]

    def images(self) -> list[str]:
        """Of the changed fleet's instances in service."""
        serving = self.in_service("serve")
        described = self.client("ec2").describe_instances(InstanceIds=serving)["Reservations"] if serving else []
        return sorted(instance["ImageId"] for part in described for instance in part["Instances"])

    def why(self) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        failed = (event for event in events if event["ResourceStatus"] == "UPDATE_FAILED")
        return json.dumps([event.get("ResourceStatusReason", "") for event in failed])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]) -> Iterator[Release]:
    """The file and an AWS with nothing in it."""
    folder = tmp_path_factory.mktemp("release")
    aws = EmbeddedAws(folder / "state", port=0)
    made = Release(aws, folder, eventually)
    made.file.write_text(FILE.format(ami=OLD))
    aws.up()
    yield made
    aws.down(delete_state=True)


@pytest.fixture(scope="module")
def examined(prepared: Release) -> tuple[int, str]:
    """What the doctor said before the deploy, the image aside, which this account does not have."""
    file = prepared.file.with_name("examined.yaml")
    file.write_text(prepared.file.read_text().replace(f"    ami: {OLD}\n", ""))
    done = prepared.run("doctor", str(file))
    return done.returncode, done.stdout.replace(str(file), "the file")


@pytest.fixture(scope="module")
def release(prepared: Release, examined: tuple[int, str]) -> Release:
    """Deployed, an hour passing in thirty seconds."""
    deployed = prepared.run("local", "deploy", str(prepared.file), "--port", "0", "--json")
    assert deployed.returncode == 0, deployed.stderr
    prepared.aws.set_clock(speed=120)
    return prepared


def test_the_doctor_lets_it_pass(examined: tuple[int, str]) -> None:
    assert examined == (0, "the file: ready to deploy\n")


def test_the_controller_scales_what_the_cdk_deployed(release: Release, eventually: Callable[..., Any]) -> None:
    scaled = release.run("fleets", "scale", str(release.file), "byhand", "3")

    assert scaled.stdout == "byhand: target 3, was 1\n", scaled.stderr
    eventually(lambda: len(release.in_service("byhand")) == 3)
    fleet = json.loads(release.run("fleets", "show", str(release.file), "byhand", "--json").stdout)
    assert fleet["in_service"] == 3
    assert {pool["name"]: pool["in_service"] for pool in fleet["pools"]} == {"spot": 2, "on-demand": 1}
    refused = release.run("fleets", "scale", str(release.file), "byhand", "9")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith("a target of 9 is not within 1 to 4, the limits in force")


def test_a_new_image_replaces_every_instance_before_the_deploy_ends(
    release: Release, eventually: Callable[..., Any]
) -> None:
    eventually(lambda: release.images() == [OLD] * 3)

    release.begin(NEW)

    assert release.end() == "UPDATE_COMPLETE"
    assert release.images() == [NEW] * 3


def test_an_image_that_does_not_come_up_is_taken_back_with_the_stack(
    release: Release, eventually: Callable[..., Any]
) -> None:
    """Follows the test before. Instances of the third image give up in their launch hook.

    They boot for six minutes, which are three seconds here: those of the roll-back must not come to their hook before
    this test has made them succeed.
    """
    release.aws.control("instances", {"launch": "abandon", "boot_s": 360})
    release.begin(BROKEN)
    eventually(lambda: release.stack()["StackStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS")

    release.aws.control("instances", {"launch": "continue", "boot_s": 30})  # the image before comes up

    assert release.end() == "UPDATE_ROLLBACK_COMPLETE"
    assert "instances of the new version do not come into service" in release.why()
    assert release.images() == [NEW] * 3
