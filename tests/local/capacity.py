"""Capacity of the embedded AWS: bought on the spot market or reserved, and what it came to."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]


@pytest.fixture
def spot(group: Any, launch_template: Any) -> Callable[..., str]:
    """A spot group of these types; its name."""

    def make(*types: str, **changes: Any) -> str:
        policy = {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateId": launch_template(), "Version": "1"},
                "Overrides": [{"InstanceType": name} for name in types or ("inf2.xlarge",)],
            },
            "InstancesDistribution": {
                "OnDemandPercentageAboveBaseCapacity": 0,
                "SpotAllocationStrategy": "price-capacity-optimized",
            },
        }
        return str(group(MixedInstancesPolicy=policy, **changes))

    return make


@pytest.fixture
def reserve(embedded_aws: EmbeddedAws) -> Iterator[Callable[..., str]]:
    """A reservation of inf2.xlarge in the group's first zone; its id."""
    made: list[str] = []

    def make(count: int, **more: Any) -> str:
        identifier = f"cr-{uuid.uuid4().hex[:17]}"
        wanted = {"instance_type": "inf2.xlarge", "count": count, "zone": "use1-az1"} | more
        embedded_aws.control("reservations", {identifier: wanted})
        made.append(identifier)
        return identifier

    yield make
    embedded_aws.control("reservations", dict.fromkeys(made))


@pytest.fixture
def bought(client: Clients, described: Any) -> Callable[[str], list[tuple[str | None, str | None]]]:
    """How a group's instances are bought: EC2's InstanceLifecycle and CapacityReservationId."""

    def describe(name: str) -> list[tuple[str | None, str | None]]:
        ids = [each["InstanceId"] for each in described(name)["Instances"]]
        found = client("ec2").describe_instances(InstanceIds=ids)["Reservations"] if ids else []
        instances = [instance for reservation in found for instance in reservation["Instances"]]
        return sorted(
            ((each.get("InstanceLifecycle"), each.get("CapacityReservationId")) for each in instances), key=str
        )

    return describe


@pytest.fixture
def last_activity(client: Clients) -> Callable[[str], dict[str, Any]]:
    def describe(name: str) -> dict[str, Any]:
        found = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=1)
        return dict(found["Activities"][0])

    return describe


@pytest.fixture
def shown(embedded_aws: EmbeddedAws) -> Callable[[str], Any]:
    """What GET answers of a control."""

    def get(name: str) -> Any:
        with urllib.request.urlopen(f"{embedded_aws.url}/_neuron_cdk/{name}", timeout=300) as answer:
            return json.load(answer)

    return get
