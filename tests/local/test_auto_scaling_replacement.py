"""Auto Scaling replaces instances that are gone, unhealthy, given up or too old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.local.auto_scaling_groups import BOOT_S, ids, states

Clients = Callable[[str], Any]


def test_an_instance_that_somebody_terminates_is_replaced(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    before = ids(described(name))
    client("ec2").terminate_instances(InstanceIds=before)
    later(BOOT_S + 5)
    after = described(name)
    assert (states(after), ids(after) == before) == (["InService"], False)


def test_an_instance_said_to_be_unhealthy_is_replaced(
    group: Any, activities: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    (identifier,) = ids(described(name))
    client("autoscaling").set_instance_health(InstanceId=identifier, HealthStatus="Unhealthy")
    later(BOOT_S + 5)
    assert "in response to an unhealthy instance needing to be replaced" in activities(name)[0]["Cause"]


def test_an_instance_is_terminated_on_request_and_replaced(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    before = ids(described(name))
    client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=before[0], ShouldDecrementDesiredCapacity=False
    )
    later(BOOT_S + 5)
    assert (len(ids(described(name))), ids(described(name)) == before) == (1, False)


def test_an_instance_is_terminated_on_request_and_not_replaced(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=ids(described(name))[0], ShouldDecrementDesiredCapacity=True
    )
    later(BOOT_S)
    assert ids(described(name)) == []


def test_an_instance_is_replaced_at_its_greatest_age(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1, MaxInstanceLifetime=86_400)
    later(BOOT_S)
    before = ids(described(name))
    later(86_400 + BOOT_S)
    assert ids(described(name)) != before


def test_a_maintenance_policy_launches_the_successor_first(group: Any, described: Any, later: Any) -> None:
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110}
    name = group(DesiredCapacity=2, MaxInstanceLifetime=86_400, InstanceMaintenancePolicy=policy)
    later(BOOT_S)
    later(86_400 - 20)
    assert sorted(states(described(name))) == ["InService", "InService", "Pending"]
