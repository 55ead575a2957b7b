"""A changed image reaches the instances of a fleet by a refresh, and one that does not come up is taken back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")
STACK = "release-Fleet-serve"
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
"""
OLD, NEW, BROKEN = "ami-00000000000000001", "ami-00000000000000002", "ami-00000000000000003"


class Release:
    """Deploys of one fleet with one image after another."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws = aws
        self._file = folder / "release.yaml"
        self._session = boto3.Session("test", "test", region_name="us-east-1")

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self.aws.url)

    def deploy(self, ami: str) -> int:
        self._file.write_text(FILE.format(ami=ami))
        command = [COMMAND, "local", "deploy", self._file, "--state", self.aws.state_dir, "--port", "0", "--json"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode

    def stack(self) -> dict[str, Any]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return dict(stack)

    def images(self) -> list[str]:
        """Of the instances in service."""
        outputs = {output["OutputKey"]: output["OutputValue"] for output in self.stack()["Outputs"]}
        group = outputs["AutoScalingGroups"].partition("=")[2]
        (found,) = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])[
            "AutoScalingGroups"
        ]
        serving = [one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] == "InService"]
        described = self.client("ec2").describe_instances(InstanceIds=serving)["Reservations"] if serving else []
        return sorted(instance["ImageId"] for part in described for instance in part["Instances"])

    def why(self) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        failed = (event for event in events if event["ResourceStatus"] == "UPDATE_FAILED")
        return json.dumps([event.get("ResourceStatusReason", "") for event in failed])


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    folder = tmp_path_factory.mktemp("release")
    aws = EmbeddedAws(folder / "state", port=0)
    made = Release(aws, folder)
    try:
        assert made.deploy(OLD) == 0
        aws.set_clock(speed=120)
        yield made
    finally:
        aws.down(delete_state=True)


def test_a_new_image_replaces_every_instance_before_the_deploy_ends(
    release: Release, eventually: Callable[..., Any]
) -> None:
    eventually(lambda: release.images() == [OLD] * 3)

    assert release.deploy(NEW) == 0

    assert release.images() == [NEW] * 3


def test_an_image_that_does_not_come_up_is_taken_back_with_the_stack(
    release: Release, eventually: Callable[..., Any]
) -> None:
    """Follows the test before. Instances of the third image give up in their launch hook."""
    release.aws.control("instances", {"launch": "abandon"})
    codes: list[int] = []
    deploying = threading.Thread(target=lambda: codes.append(release.deploy(BROKEN)))
    deploying.start()
    eventually(lambda: release.stack()["StackStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS", within=120)

    release.aws.control("instances", {"launch": "continue"})  # the image before comes up

    deploying.join()
    assert codes == [1]
    assert release.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "instances of the new version do not come into service" in release.why()
    assert release.images() == [NEW] * 3
