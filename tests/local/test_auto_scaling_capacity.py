"""Capacity that runs short, is reserved, or is taken back: what groups do about it, and say."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import boto3
import botocore.parsers
import pytest

from neuron_cdk.local import EmbeddedAws, LocalError

Clients = Callable[[str], Any]
_BOOT = 31
_HOUR = 3600


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
def pool(client: Clients) -> Callable[..., str]:
    """Reservations as a resource group; its ARN."""

    def make(*reservations: str) -> str:
        name = f"pool-{uuid.uuid4().hex[:8]}"
        made = client("resource-groups").create_group(
            Name=name, Configuration=[{"Type": "AWS::EC2::CapacityReservationPool"}]
        )
        arns = [f"arn:aws:ec2:us-east-1:000000000000:capacity-reservation/{each}" for each in reservations]
        client("resource-groups").group_resources(Group=name, ResourceArns=arns)
        return str(made["Group"]["GroupArn"])

    return make


@pytest.fixture
def segmented(group: Any, launch_template: Any) -> Callable[..., str]:
    """A group that takes kinds of capacity in this order, the reserved ones from a resource group; its name."""

    def make(pool: str, *kinds: str, **changes: Any) -> str:
        policy = {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateId": launch_template(), "Version": "1"},
                "Overrides": [{"InstanceType": "inf2.xlarge"}],
            },
            "InstancesDistribution": {"DistributionSegments": [{"TargetCapacityTypes": list(kinds)}]},
        }
        reserved = {
            "CapacityReservationPreference": "capacity-reservations-first",
            "CapacityReservationTarget": {"CapacityReservationResourceGroupArns": [pool]},
        }
        return str(group(MixedInstancesPolicy=policy, CapacityReservationSpecification=reserved, **changes))

    return make


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


# Short


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
    later(_BOOT)
    assert len(described(name)["Instances"]) == 2


def test_a_failed_launch_is_tried_again(group: Any, later: Any, controlled: Any, described: Any) -> None:
    controlled("capacity", pools={"on-demand": 0})
    name = group(DesiredCapacity=1)
    later(60)
    controlled("capacity", pools={"on-demand": None})
    later(300 + _BOOT)
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
    later(_BOOT)
    assert len(described(name)["Instances"]) == 2


def test_another_type_is_taken_when_the_first_is_short(spot: Any, later: Any, controlled: Any, described: Any) -> None:
    controlled("capacity", pools={"spot/inf2.xlarge": 0})
    name = spot("inf2.xlarge", "inf2.8xlarge", DesiredCapacity=1)
    later(_BOOT)
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


# Spot


def test_a_spot_group_has_spot_instances(spot: Any, later: Any, bought: Any) -> None:
    name = spot(DesiredCapacity=1)
    later(_BOOT)
    assert bought(name) == [("spot", None)]


def test_a_base_is_on_demand(spot: Any, later: Any, bought: Any, client: Clients, described: Any) -> None:
    name = spot()
    policy = described(name)["MixedInstancesPolicy"]
    policy["InstancesDistribution"]["OnDemandBaseCapacity"] = 1
    client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=name, MixedInstancesPolicy=policy, DesiredCapacity=3
    )
    later(_BOOT)
    assert [market for market, _ in bought(name)] == ["spot", "spot", None]


@pytest.fixture
def interrupted(spot: Any, later: Any, described: Any, embedded_aws: EmbeddedAws) -> tuple[str, str]:
    """A spot group of one whose instance EC2 takes: the names of both."""
    name = spot(DesiredCapacity=1)
    later(_BOOT)
    (instance,) = described(name)["Instances"]
    embedded_aws.control("interrupt", {"instance": instance["InstanceId"]})
    return name, instance["InstanceId"]


def test_an_interruption_is_told_of_first(
    spot: Any, later: Any, described: Any, told: Any, embedded_aws: EmbeddedAws
) -> None:
    name = spot(DesiredCapacity=1)
    later(_BOOT)
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
    later(121 + _BOOT)
    (now,) = described(name)["Instances"]
    assert (now["InstanceId"] == instance, now["LifecycleState"]) == (False, "InService")


def test_only_spot_instances_are_interrupted(group: Any, later: Any, described: Any, embedded_aws: EmbeddedAws) -> None:
    name = group(DesiredCapacity=1)
    later(_BOOT)
    (instance,) = described(name)["Instances"]
    with pytest.raises(LocalError, match="is no running spot instance"):
        embedded_aws.control("interrupt", {"instance": instance["InstanceId"]})


def test_a_group_that_rebalances_launches_the_successor_first(
    spot: Any, later: Any, described: Any, embedded_aws: EmbeddedAws
) -> None:
    name = spot(DesiredCapacity=1, CapacityRebalance=True)
    later(_BOOT)
    (before,) = described(name)["Instances"]
    embedded_aws.control("rebalance", {"instance": before["InstanceId"]})
    later(10)
    assert sorted(each["LifecycleState"] for each in described(name)["Instances"]) == ["InService", "Pending"]
    later(_BOOT)
    assert [each["InstanceId"] == before["InstanceId"] for each in described(name)["Instances"]] == [False]


def test_a_group_that_does_not_rebalance_keeps_the_instance(
    spot: Any, later: Any, described: Any, embedded_aws: EmbeddedAws
) -> None:
    name = spot(DesiredCapacity=1)
    later(_BOOT)
    before = described(name)["Instances"]
    embedded_aws.control("rebalance", {"instance": before[0]["InstanceId"]})
    later(_BOOT)
    assert described(name)["Instances"] == before


# Reservations


def test_a_reservation_is_described(reserve: Any, client: Clients) -> None:
    identifier = reserve(16)
    (found,) = client("ec2").describe_capacity_reservations(CapacityReservationIds=[identifier])["CapacityReservations"]
    told = ("InstanceType", "TotalInstanceCount", "AvailableInstanceCount", "State", "ReservationType")
    assert [found[name] for name in told] == ["inf2.xlarge", 16, 16, "active", "default"]
    assert (found["AvailabilityZoneId"], found["AvailabilityZone"]) == ("use1-az1", "us-east-1a")


def test_a_reservation_ends(reserve: Any, client: Clients, later: Any) -> None:
    end = later(0) + _HOUR
    identifier = reserve(1, end=end)
    later(_HOUR + 1)
    (found,) = client("ec2").describe_capacity_reservations(CapacityReservationIds=[identifier])["CapacityReservations"]
    assert (found["State"], found["EndDate"]) == ("expired", datetime.fromtimestamp(int(end), UTC))


def test_an_unknown_reservation_is_not_found(client: Clients, code_of: Any) -> None:
    error = code_of(client("ec2").describe_capacity_reservations, CapacityReservationIds=["cr-0123456789abcdef0"])
    assert error.code == "InvalidCapacityReservationId.NotFound"


def test_reserved_capacity_is_taken_before_on_demand(
    reserve: Any, pool: Any, segmented: Any, later: Any, bought: Any
) -> None:
    identifier = reserve(1)
    name = segmented(pool(identifier), "on-demand-capacity-reservation", "on-demand", DesiredCapacity=2)
    later(_BOOT)
    assert bought(name) == [(None, identifier), (None, None)]


def test_without_on_demand_behind_it_a_full_reservation_is_the_end(
    reserve: Any, pool: Any, segmented: Any, later: Any, last_activity: Any
) -> None:
    name = segmented(pool(reserve(1)), "on-demand-capacity-reservation", DesiredCapacity=2)
    later(_BOOT)
    assert "does not have sufficient compatible and available capacity" in last_activity(name)["StatusMessage"]


def test_what_is_used_is_not_available(reserve: Any, pool: Any, segmented: Any, later: Any, client: Clients) -> None:
    identifier = reserve(3)
    segmented(pool(identifier), "on-demand-capacity-reservation", DesiredCapacity=2)
    later(_BOOT)
    (found,) = client("ec2").describe_capacity_reservations(CapacityReservationIds=[identifier])["CapacityReservations"]
    assert found["AvailableInstanceCount"] == 1


def test_instances_go_to_the_zone_of_their_reservation(
    reserve: Any, pool: Any, segmented: Any, later: Any, described: Any
) -> None:
    name = segmented(pool(reserve(2, zone="use1-az2")), "on-demand-capacity-reservation", DesiredCapacity=2)
    later(_BOOT)
    assert {each["AvailabilityZone"] for each in described(name)["Instances"]} == {"us-east-1b"}


def test_a_reservation_can_be_short_too(
    reserve: Any, pool: Any, segmented: Any, later: Any, controlled: Any, bought: Any
) -> None:
    identifier = reserve(2)
    controlled("capacity", pools={identifier: 0})
    name = segmented(pool(identifier), "on-demand-capacity-reservation", "on-demand", DesiredCapacity=1)
    later(_BOOT)
    assert bought(name) == [(None, None)]


# Capacity blocks


@pytest.fixture
def block(reserve: Any, group: Any, later: Any, launch_template: Any) -> tuple[str, str, float]:
    """A block of two that ends in two hours, and a group that runs in it: their names and the end."""
    end = later(0) + 2 * _HOUR
    identifier = reserve(2, type="capacity-block", end=end)
    template = launch_template(InstanceMarketOptions={"MarketType": "capacity-block"})
    reserved = {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {"CapacityReservationIds": [identifier]},
    }
    name = group(
        DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        CapacityReservationSpecification=reserved,
        VPCZoneIdentifier="subnet-00000001",
    )
    return identifier, name, end


def test_instances_run_in_their_capacity_block(block: tuple[str, str, float], later: Any, bought: Any) -> None:
    later(_BOOT)
    assert bought(block[1]) == [("capacity-block", block[0])] * 2


def test_the_end_of_a_block_is_told_of_forty_minutes_before(
    block: tuple[str, str, float], later: Any, told: Any
) -> None:
    identifier, _, end = block
    events = told({"source": ["aws.ec2"], "detail-type": ["Capacity Block Expiration Warning"]})
    later(end - 41 * 60 - later(0))
    assert events() == []
    later(2 * 60)
    (event,) = events()
    assert event["detail"]["capacity-reservation-id"] == identifier


def test_what_runs_in_a_block_is_terminated_from_thirty_minutes_before_its_end(
    block: tuple[str, str, float], later: Any, bought: Any
) -> None:
    _, name, end = block
    later(end - 31 * 60 - later(0))
    assert len(bought(name)) == 2
    later(2 * 60)
    assert bought(name) == []


def test_a_block_takes_nothing_in_its_last_half_hour(
    block: tuple[str, str, float], later: Any, last_activity: Any
) -> None:
    _, name, end = block
    later(end - 20 * 60 - later(0))
    assert last_activity(name)["StatusCode"] == "Failed"


def test_a_block_has_an_end(embedded_aws: EmbeddedAws) -> None:
    wanted = {"instance_type": "trn1.32xlarge", "count": 1, "zone": "use1-az1", "type": "capacity-block"}
    with pytest.raises(LocalError, match="cr-1: a capacity block has an end"):
        embedded_aws.control("reservations", {"cr-1": wanted})


def test_a_reservation_is_in_the_region_of_its_zone(reserve: Any, embedded_aws: EmbeddedAws) -> None:
    identifier = reserve(1, zone="use2-az1")
    ec2 = boto3.client(
        "ec2",
        region_name="us-east-2",
        endpoint_url=embedded_aws.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    found = ec2.describe_capacity_reservations()["CapacityReservations"]
    assert [(each["CapacityReservationId"], each["AvailabilityZone"]) for each in found] == [(identifier, "us-east-2a")]


def test_reservations_are_shown(reserve: Any, shown: Any) -> None:
    identifier = reserve(3)
    found = {
        each["CapacityReservationId"]: each["TotalInstanceCount"] for each in shown("reservations")["reservations"]
    }
    assert found[identifier] == 3


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"start": 2000, "end": 2000}, "cr-1: end is 2000, not after start, 2000.0: give a later end"),
        ({"end": float("nan")}, "cr-1: end is nan: give epoch seconds"),
        ({"count": -1}, "cr-1: count is -1: give how many instances are reserved"),
    ],
)
def test_what_is_no_reservation_is_refused_and_changes_nothing(
    embedded_aws: EmbeddedAws, reserve: Any, shown: Any, changed: dict[str, Any], why: str
) -> None:
    identifier = reserve(3)
    wanted = {"instance_type": "inf2.xlarge", "count": 1, "zone": "use1-az1"} | changed
    with pytest.raises(LocalError, match=why):
        embedded_aws.control("reservations", {identifier: None, "cr-1": wanted})
    found = {each["CapacityReservationId"] for each in shown("reservations")["reservations"]}
    assert identifier in found
    assert "cr-1" not in found


# The protocol


def test_an_internal_error_is_one_that_clients_can_read() -> None:
    from neuron_cdk.local.server.autoscaling import protocol

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("a mistake of ours")

    handle = protocol.handler("autoscaling", {"DescribeAutoScalingGroups": broken})
    body = b"Action=DescribeAutoScalingGroups&Version=2011-01-01"
    status, headers, content = asyncio.run(handle("POST", "/", {}, body, {}))
    answer = {"status_code": status, "headers": headers, "body": content}
    parsed = botocore.parsers.create_parser("query").parse(answer, None)
    assert (status, parsed["Error"]["Code"]) == (500, "InternalFailure")
