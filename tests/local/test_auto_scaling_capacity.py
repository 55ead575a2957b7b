"""Capacity that runs short: what groups do about it and say, and the limits that make it short."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws, LocalError
from tests.local.auto_scaling_groups import BOOT_S

Clients = Callable[[str], Any]
_HOUR = 3600


def test_no_on_demand_capacity_is_said_as_ec2_does(group: Any, later: Any, controlled: Any, last_activity: Any) -> None:
    controlled("capacity", pools={"on-demand/inf2.xlarge": 0})
    name = group(DesiredCapacity=1)
    later(1)
    failed = last_activity(name)
    assert (failed["StatusCode"], failed["StatusMessage"]) == (
        "Failed",
        "We currently do not have sufficient inf2.xlarge capacity in the Availability Zone you requested (us-east-1a). "
        "Our system will be working on provisioning additional capacity. Launching EC2 instance failed.",
    )


def test_no_spot_capacity_is_said_as_auto_scaling_does(
    spot: Any, later: Any, controlled: Any, last_activity: Any
) -> None:
    controlled("capacity", pools={"spot": 0})
    name = spot(DesiredCapacity=1)
    later(1)
    assert last_activity(name)["StatusMessage"] == (
        "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that "
        "matches your request. Launching EC2 instance failed."
    )


def test_a_failed_launch_is_an_event(group: Any, later: Any, controlled: Any, of_group: Any, client: Clients) -> None:
    name = group()
    controlled("capacity", pools={name: 0})
    events = of_group(name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(1)
    (event,) = events()
    told = (event["detail-type"], event["detail"]["StatusCode"], event["detail"]["EC2InstanceId"])
    assert told == ("EC2 Instance Launch Unsuccessful", "Failed", "")


def test_as_many_instances_come_as_there_are(group: Any, later: Any, controlled: Any, described: Any) -> None:
    controlled("capacity", pools={"on-demand": 2})
    name = group(DesiredCapacity=3)
    later(BOOT_S)
    assert len(described(name)["Instances"]) == 2


def test_a_failed_launch_is_tried_again(group: Any, later: Any, controlled: Any, described: Any) -> None:
    controlled("capacity", pools={"on-demand": 0})
    name = group(DesiredCapacity=1)
    later(60)
    controlled("capacity", pools={"on-demand": None})
    later(300 + BOOT_S)
    assert len(described(name)["Instances"]) == 1


def test_failed_launches_come_further_and_further_apart(
    group: Any, later: Any, controlled: Any, client: Clients
) -> None:
    controlled("capacity", pools={"on-demand": 0})
    name = group(DesiredCapacity=1)
    later(_HOUR)
    found = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    moments = sorted(each["StartTime"] for each in found)
    apart = [round((after - before).total_seconds()) for before, after in pairwise(moments)]
    assert apart[:6] == [30, 60, 120, 240, 300, 300]


def test_a_new_size_is_tried_at_once(group: Any, later: Any, controlled: Any, described: Any, client: Clients) -> None:
    controlled("capacity", pools={"on-demand": 0})
    name = group(DesiredCapacity=1)
    later(_HOUR)
    controlled("capacity", pools={"on-demand": None})
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    later(BOOT_S)
    assert len(described(name)["Instances"]) == 2


def test_another_type_is_taken_when_the_first_is_short(spot: Any, later: Any, controlled: Any, described: Any) -> None:
    controlled("capacity", pools={"spot/inf2.xlarge": 0})
    name = spot("inf2.xlarge", "inf2.8xlarge", DesiredCapacity=1)
    later(BOOT_S)
    assert [each["InstanceType"] for each in described(name)["Instances"]] == ["inf2.8xlarge"]


def test_says_what_is_wrong_with_a_limit(embedded_aws: EmbeddedAws) -> None:
    with pytest.raises(LocalError, match="spot is -1: give how many instances there can be, or null for no limit"):
        embedded_aws.control("capacity", {"pools": {"spot": -1}})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("spott", "spott: there is no kind of capacity or group 'spott': give spot, on-demand, .*cr-"),
        ("cr-", "cr-: there is no kind of capacity or group"),
        ("spot/", "spot/: the catalogue has no instance type ''.* or no slash"),
        ("spot/inf2.xlrge", "the catalogue has no instance type 'inf2.xlrge'; did you mean inf2.xlarge"),
    ],
)
def test_a_limit_of_nothing_there_is_is_refused(embedded_aws: EmbeddedAws, shown: Any, name: str, why: str) -> None:
    with pytest.raises(LocalError, match=why):
        embedded_aws.control("capacity", {"pools": {"spot": 7, name: 0}})
    assert not shown("capacity")["pools"].keys() & {"spot", name}


def test_limits_are_shown(group: Any, controlled: Any, shown: Any) -> None:
    limits = {group(): 4, "on-demand/inf2.xlarge": 2, "cr-0a1b2c3d4e5f60718": 0}
    controlled("capacity", pools=limits)
    assert shown("capacity")["pools"].items() >= limits.items()


def test_the_limit_of_a_group_that_is_gone_can_be_taken_away(group: Any, client: Clients, embedded_aws: Any) -> None:
    name = group()
    embedded_aws.control("capacity", {"pools": {name: 0}})
    client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    assert name not in embedded_aws.control("capacity", {"pools": {name: None}})["pools"]
