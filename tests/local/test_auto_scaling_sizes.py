"""Auto Scaling groups have as many instances as they shall: by sizes, schedules and what is suspended."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.local.auto_scaling_groups import BOOT_S, ids, states

Clients = Callable[[str], Any]


def test_a_group_launches_what_is_desired(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=2)
    later(BOOT_S)
    assert states(described(name)) == ["InService", "InService"]


def test_an_instance_is_pending_while_it_boots(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S - 5)
    assert states(described(name)) == ["Pending"]


def test_a_group_without_a_desired_capacity_has_its_minimum(group: Any, described: Any) -> None:
    assert described(group(MinSize=1))["DesiredCapacity"] == 1


def test_instances_are_spread_over_the_zones(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=4)
    later(BOOT_S)
    zones = sorted(each["AvailabilityZone"] for each in described(name)["Instances"])
    assert zones == ["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1b"]


def test_a_group_of_zones_launches_into_their_default_subnets(group: Any, described: Any, later: Any) -> None:
    name = group(DesiredCapacity=1, VPCZoneIdentifier=None, AvailabilityZones=["us-east-1c"])
    later(BOOT_S)
    assert [each["AvailabilityZone"] for each in described(name)["Instances"]] == ["us-east-1c"]


def test_a_group_shrinks_to_a_lower_desired_capacity(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=3)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(10)
    assert len(described(name)["Instances"]) == 1


def test_the_instance_that_leaves_is_terminated(
    group: Any, described: Any, later: Any, client: Clients, instance_of: Any
) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    (identifier,) = ids(described(name))
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(10)
    assert instance_of(identifier)["State"]["Name"] == "terminated"


def test_the_oldest_leaves_first(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1, VPCZoneIdentifier="subnet-00000001")
    later(BOOT_S)
    (oldest,) = ids(described(name))
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(10)
    assert oldest not in ids(described(name))


def test_a_termination_policy_takes_the_newest(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1, VPCZoneIdentifier="subnet-00000001", TerminationPolicies=["NewestInstance"])
    later(BOOT_S)
    (oldest,) = ids(described(name))
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(10)
    assert ids(described(name)) == [oldest]


def test_a_protected_instance_stays(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group(DesiredCapacity=1, NewInstancesProtectedFromScaleIn=True)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(60)
    assert states(described(name)) == ["InService"]


@pytest.mark.parametrize(
    ("change", "desired"),
    [({"MinSize": 3}, 3), ({"MaxSize": 1}, 1), ({"MinSize": 1, "MaxSize": 5, "DesiredCapacity": 4}, 4)],
)
def test_an_update_brings_the_desired_capacity_within_its_bounds(
    group: Any, described: Any, client: Clients, change: dict[str, int], desired: int
) -> None:
    name = group(DesiredCapacity=2)
    client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **change)
    assert described(name)["DesiredCapacity"] == desired


def test_a_suspended_group_launches_nothing(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(BOOT_S)
    assert ids(described(name)) == []


def test_a_resumed_group_launches_what_is_missing(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").suspend_processes(AutoScalingGroupName=name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    client("autoscaling").resume_processes(AutoScalingGroupName=name)
    later(BOOT_S)
    assert states(described(name)) == ["InService"]


def test_a_scheduled_action_resizes_at_its_moment(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    start = datetime.fromtimestamp(later(0) + 3600, UTC)
    client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=name, ScheduledActionName="up", StartTime=start, MinSize=1, MaxSize=3, DesiredCapacity=2
    )
    later(3600 + BOOT_S)
    now = described(name)
    assert (now["MinSize"], now["MaxSize"], states(now)) == (1, 3, ["InService"] * 2)


def test_an_action_that_recurs_acts_every_day(group: Any, described: Any, later: Any, client: Clients) -> None:
    name = group()
    client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=name, ScheduledActionName="morning", Recurrence="0 8 * * *", DesiredCapacity=1
    )
    for _ in range(2):
        later(86_400)
        assert described(name)["DesiredCapacity"] == 1
        client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)


def test_the_next_moment_of_a_recurring_action_is_in_its_time_zone(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    name = group()
    now = time.gmtime(later(0))
    client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=name,
        ScheduledActionName="next-hour-in-tokyo",
        Recurrence=f"0 {(now.tm_hour + 10) % 24} * * *",
        TimeZone="Asia/Tokyo",
        DesiredCapacity=1,
    )
    later(3600)
    assert described(name)["DesiredCapacity"] == 1


def test_a_scaling_policy_is_kept_and_described(group: Any, client: Clients) -> None:
    name = group()
    metric = {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        "TargetValue": 70.0,
    }
    client("autoscaling").put_scaling_policy(
        AutoScalingGroupName=name,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=metric,
    )
    (policy,) = client("autoscaling").describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
    assert policy["TargetTrackingConfiguration"] == metric
