"""Capacity blocks: instances run in them and are terminated before their end."""

from __future__ import annotations

from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws, LocalError
from tests.local.auto_scaling_groups import BOOT_S

_HOUR = 3600


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
    later(BOOT_S)
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
