"""Spot instances: bought, interrupted, and replaced before they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws, LocalError
from tests.local.auto_scaling_groups import BOOT_S

Clients = Callable[[str], Any]


def test_a_spot_group_has_spot_instances(spot: Any, later: Any, bought: Any) -> None:
    name = spot(DesiredCapacity=1)
    later(BOOT_S)
    assert bought(name) == [("spot", None)]


def test_a_base_is_on_demand(spot: Any, later: Any, bought: Any, client: Clients, described: Any) -> None:
    name = spot()
    policy = described(name)["MixedInstancesPolicy"]
    policy["InstancesDistribution"]["OnDemandBaseCapacity"] = 1
    client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=name, MixedInstancesPolicy=policy, DesiredCapacity=3
    )
    later(BOOT_S)
    assert [market for market, _ in bought(name)] == ["spot", "spot", None]


@pytest.fixture
def interrupted(spot: Any, later: Any, described: Any, embedded_aws: EmbeddedAws) -> tuple[str, str]:
    """A spot group of one whose instance EC2 takes: the names of both."""
    name = spot(DesiredCapacity=1)
    later(BOOT_S)
    (instance,) = described(name)["Instances"]
    embedded_aws.control("interrupt", {"instance": instance["InstanceId"]})
    return name, instance["InstanceId"]


def test_an_interruption_is_told_of_first(
    spot: Any, later: Any, described: Any, told: Any, embedded_aws: EmbeddedAws
) -> None:
    name = spot(DesiredCapacity=1)
    later(BOOT_S)
    (instance,) = described(name)["Instances"]
    events = told({"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]})
    embedded_aws.control("interrupt", {"instance": instance["InstanceId"]})
    (event,) = events()
    assert event["detail"] == {"instance-id": instance["InstanceId"], "instance-action": "terminate"}


def test_an_interrupted_instance_has_two_minutes(interrupted: tuple[str, str], later: Any, described: Any) -> None:
    name, instance = interrupted
    later(115)
    assert [each["InstanceId"] for each in described(name)["Instances"]] == [instance]


def test_an_interrupted_instance_is_replaced(interrupted: tuple[str, str], later: Any, described: Any) -> None:
    name, instance = interrupted
    later(121 + BOOT_S)
    (now,) = described(name)["Instances"]
    assert (now["InstanceId"] == instance, now["LifecycleState"]) == (False, "InService")


def test_only_spot_instances_are_interrupted(group: Any, later: Any, described: Any, embedded_aws: EmbeddedAws) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    (instance,) = described(name)["Instances"]
    with pytest.raises(LocalError, match="is no running spot instance"):
        embedded_aws.control("interrupt", {"instance": instance["InstanceId"]})


def test_a_group_that_rebalances_launches_the_successor_first(
    spot: Any, later: Any, described: Any, embedded_aws: EmbeddedAws
) -> None:
    name = spot(DesiredCapacity=1, CapacityRebalance=True)
    later(BOOT_S)
    (before,) = described(name)["Instances"]
    embedded_aws.control("rebalance", {"instance": before["InstanceId"]})
    later(10)
    assert sorted(each["LifecycleState"] for each in described(name)["Instances"]) == ["InService", "Pending"]
    later(BOOT_S)
    assert [each["InstanceId"] == before["InstanceId"] for each in described(name)["Instances"]] == [False]


def test_a_group_that_does_not_rebalance_keeps_the_instance(
    spot: Any, later: Any, described: Any, embedded_aws: EmbeddedAws
) -> None:
    name = spot(DesiredCapacity=1)
    later(BOOT_S)
    before = described(name)["Instances"]
    embedded_aws.control("rebalance", {"instance": before[0]["InstanceId"]})
    later(BOOT_S)
    assert described(name)["Instances"] == before
