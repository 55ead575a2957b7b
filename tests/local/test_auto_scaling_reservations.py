"""Reserved capacity: what groups take of it, what is left of it, and what is no reservation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from neuron_cdk.local import EmbeddedAws, LocalError
from tests.local.auto_scaling_groups import BOOT_S

Clients = Callable[[str], Any]
_HOUR = 3600


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
    later(BOOT_S)
    assert bought(name) == [(None, identifier), (None, None)]


def test_without_on_demand_behind_it_a_full_reservation_is_the_end(
    reserve: Any, pool: Any, segmented: Any, later: Any, last_activity: Any
) -> None:
    name = segmented(pool(reserve(1)), "on-demand-capacity-reservation", DesiredCapacity=2)
    later(BOOT_S)
    assert "does not have sufficient compatible and available capacity" in last_activity(name)["StatusMessage"]


def test_what_is_used_is_not_available(reserve: Any, pool: Any, segmented: Any, later: Any, client: Clients) -> None:
    identifier = reserve(3)
    segmented(pool(identifier), "on-demand-capacity-reservation", DesiredCapacity=2)
    later(BOOT_S)
    (found,) = client("ec2").describe_capacity_reservations(CapacityReservationIds=[identifier])["CapacityReservations"]
    assert found["AvailableInstanceCount"] == 1


def test_instances_go_to_the_zone_of_their_reservation(
    reserve: Any, pool: Any, segmented: Any, later: Any, described: Any
) -> None:
    name = segmented(pool(reserve(2, zone="use1-az2")), "on-demand-capacity-reservation", DesiredCapacity=2)
    later(BOOT_S)
    assert {each["AvailabilityZone"] for each in described(name)["Instances"]} == {"us-east-1b"}


def test_a_reservation_can_be_short_too(
    reserve: Any, pool: Any, segmented: Any, later: Any, controlled: Any, bought: Any
) -> None:
    identifier = reserve(2)
    controlled("capacity", pools={identifier: 0})
    name = segmented(pool(identifier), "on-demand-capacity-reservation", "on-demand", DesiredCapacity=1)
    later(BOOT_S)
    assert bought(name) == [(None, None)]


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
