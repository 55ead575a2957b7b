"""The fleets of ``deployments/production.yaml``, deployed by the CDK to the embedded AWS, and hours of their life.

The account is the embedded AWS's, and what needs the Neuron compiler (models, endpoints) is left out: that runs on AWS
only. Network, fleets, controllers and their functions are the file's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from neuron_cdk.local import EmbeddedAws

COMMAND = Path(sys.executable).with_name("neuron-cdk")
FILE = Path(__file__).resolve().parents[2] / "deployments" / "production.yaml"
BLOCK = "cr-0a1b2c3d4e5f60718"
PREFIX = "production-Fleet-"


class Fleets:
    """What a person with the command line would see of the deployed fleets, and what EC2 would do to them."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self._session = boto3.Session("test", "test", region_name="us-east-2")
        self._clients: dict[str, Any] = {}
        self._outputs: dict[str, dict[str, str]] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.aws.url)
        return self._clients[service]

    def outputs(self, fleet: str) -> dict[str, str]:
        """Of the fleet's stack, which nothing here changes."""
        if fleet not in self._outputs:
            (stack,) = self.client("cloudformation").describe_stacks(StackName=PREFIX + fleet)["Stacks"]
            self._outputs[fleet] = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return self._outputs[fleet]

    def groups(self, fleet: str) -> dict[str, str]:
        return dict(pair.split("=") for pair in self.outputs(fleet)["AutoScalingGroups"].split(","))

    def ask(self, fleet: str, **request: Any) -> dict[str, Any]:
        """The controller's answer; again as long as its own runs, of which the fast clock has several a second, keep
        writing the state first."""
        while True:
            answer = self.client("lambda").invoke(
                FunctionName=self.outputs(fleet)["Controller"], Payload=json.dumps(request)
            )
            found: dict[str, Any] = json.loads(answer["Payload"].read())
            if found.get("errorType") != "ConflictError":
                assert "errorMessage" not in found, found
                return found

    def in_service(self, fleet: str) -> dict[str, int]:
        """Instances in service by pool; pools without any are left out."""
        names = {group: pool for pool, group in self.groups(fleet).items()}
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=list(names))
        counts = {
            names[group["AutoScalingGroupName"]]: sum(
                instance["LifecycleState"] == "InService" for instance in group["Instances"]
            )
            for group in found["AutoScalingGroups"]
        }
        return {pool: count for pool, count in counts.items() if count}

    def desired(self, fleet: str) -> int:
        names = list(self.groups(fleet).values())
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)
        return sum(group["DesiredCapacity"] for group in found["AutoScalingGroups"])

    def reserve(self, count: int, *, lasts_s: float = 5 * 86_400) -> float:
        """The block holds so many instances, and ends in so many seconds; the time of its end."""
        end = self.aws.set_clock() + lasts_s
        block = {
            "instance_type": "trn1.32xlarge",
            "count": count,
            "zone": "use2-az3",
            "type": "capacity-block",
            "state": "active",
            "end": end,
        }
        self.aws.control("reservations", {BLOCK: block})
        return end

    def limit(self, **pools: int | None) -> None:
        self.aws.control("capacity", {"pools": pools})


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleets]:
    folder = tmp_path_factory.mktemp("production")
    document = yaml.safe_load(FILE.read_text())
    document["environment"]["account"] = "000000000000"
    del document["models"], document["endpoints"]
    file = folder / "production.yaml"
    file.write_text(yaml.safe_dump(document))
    aws = EmbeddedAws(folder / "state", port=0)
    try:
        command = [COMMAND, "local", "deploy", file, "--state", aws.state_dir, "--port", "0", "--json"]
        deployed = subprocess.run(command, cwd=FILE.parents[1], capture_output=True, text=True, check=False)
        assert deployed.returncode == 0, deployed.stderr
        aws.set_clock(speed=120)
        yield Fleets(aws)
    finally:
        aws.down(delete_state=True)


def test_the_file_has_a_gang_of_sixteen_and_a_serving_fleet_of_three_types() -> None:
    fleets = yaml.safe_load(FILE.read_text())["fleets"]
    pretrain, serve = fleets["pretrain"], fleets["serve"]
    assert (pretrain["instance_types"], pretrain["size"]["max"]) == (["trn1.32xlarge"], 16)
    assert [entry["kind"] for entry in pretrain["capacity"]] == ["capacity-block", "spot", "on-demand"]
    assert len(serve["instance_types"]) == 3
    assert serve["capacity"] == [{"kind": "spot"}, {"kind": "on-demand", "base": 2}]


def test_every_fleet_is_deployed_with_a_group_for_each_pool(fleets: Fleets) -> None:
    assert list(fleets.groups("pretrain")) == ["capacity-block", "spot", "on-demand"]
    assert list(fleets.groups("serve")) == ["spot", "on-demand"]
    assert list(fleets.groups("frontier")) == ["on-demand"]


def test_a_gang_goes_whole_to_the_next_pool_when_its_block_has_no_room_and_comes_back_when_it_has(
    fleets: Fleets, eventually: Callable[..., Any]
) -> None:
    fleets.reserve(0)

    fleets.ask("pretrain", action="target", target=16)

    eventually(lambda: fleets.in_service("pretrain") == {"spot": 16})
    fleets.reserve(16)
    eventually(lambda: fleets.in_service("pretrain") == {"capacity-block": 16})
    assert fleets.desired("pretrain") == 16


def test_instances_in_a_block_are_in_the_block(fleets: Fleets) -> None:
    """Follows the test before: the gang is in its block."""
    group = fleets.groups("pretrain")["capacity-block"]
    found = fleets.client("ec2").describe_instances(
        Filters=[
            {"Name": "tag:aws:autoscaling:groupName", "Values": [group]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
    )
    instances = [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]
    assert len(instances) == 16
    assert {instance["CapacityReservationId"] for instance in instances} == {BLOCK}


def test_a_gang_leaves_a_block_before_ec2_ends_it(fleets: Fleets, eventually: Callable[..., Any]) -> None:
    """Follows the test before. The gang has a quarter of an hour: slower, so that a busy machine's delays are short."""
    fleets.aws.set_clock(speed=40)
    end = fleets.reserve(16, lasts_s=44 * 60)

    eventually(lambda: fleets.in_service("pretrain") == {"spot": 16})

    assert fleets.aws.set_clock(speed=120) < end - 30 * 60


def test_a_gang_that_spot_cannot_hold_any_more_moves_whole_to_on_demand(
    fleets: Fleets, eventually: Callable[..., Any]
) -> None:
    """Follows the test before: an interruption takes one, and there is no spot to replace it."""
    group = fleets.groups("pretrain")["spot"]
    found = fleets.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    lost = found["AutoScalingGroups"][0]["Instances"][0]["InstanceId"]
    fleets.limit(spot=15)

    fleets.aws.control("interrupt", {"instance": lost})

    eventually(lambda: fleets.in_service("pretrain") == {"on-demand": 16})
    fleets.ask("pretrain", action="target", target=0)
    eventually(lambda: fleets.in_service("pretrain") == {})


def test_a_serving_fleet_falls_back_to_on_demand_and_returns_to_spot_without_losing_an_instance(
    fleets: Fleets, eventually: Callable[..., Any]
) -> None:
    fleets.limit(spot=0)
    fleets.ask("serve", action="target", target=6)
    eventually(lambda: fleets.in_service("serve") == {"on-demand": 6})

    fleets.limit(spot=None)

    least, deadline = 6, time.monotonic() + 300
    while fleets.in_service("serve") != {"on-demand": 2, "spot": 4}:
        assert time.monotonic() < deadline, fleets.in_service("serve")
        least = min(least, sum(fleets.in_service("serve").values()))
        time.sleep(0.1)
    assert least == 6


def test_an_interruption_is_replaced_by_another_pool(fleets: Fleets, eventually: Callable[..., Any]) -> None:
    """Follows the test before: two on demand, four spot, and no spot to replace what goes."""
    group = fleets.groups("serve")["spot"]
    (described,) = fleets.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])[
        "AutoScalingGroups"
    ]
    lost = described["Instances"][0]["InstanceId"]
    fleets.limit(spot=3)

    fleets.aws.control("interrupt", {"instance": lost})

    eventually(lambda: fleets.in_service("serve") == {"on-demand": 3, "spot": 3})


def test_utilization_above_its_target_makes_the_fleet_larger(fleets: Fleets, eventually: Callable[..., Any]) -> None:
    cloudwatch = fleets.client("cloudwatch")

    def busy() -> bool:
        cloudwatch.put_metric_data(
            Namespace="NeuronCdk/Fleet",
            MetricData=[
                {
                    "MetricName": "NeuronCoreUtilization",
                    "Dimensions": [{"Name": "Fleet", "Value": f"{PREFIX}serve/Fleet"}],
                    "Unit": "Percent",
                    "Value": 90.0,
                    "Timestamp": fleets.aws.set_clock(),
                }
            ],
        )
        return int(fleets.ask("serve", action="show")["state"]["target"]) > 6

    eventually(busy)
