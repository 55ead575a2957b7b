"""The controller of a fleet from event to act: what it decides, writes, sets and sends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hooks.controlled_fleet import NOW, Fleet, Load, spot_is_short
from tests.hooks.fleet_world import NO_CAPACITY


def test_the_first_tick_places_the_start_in_the_first_pool(fleet: Fleet) -> None:
    shown = fleet.tick()
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}
    assert shown["state"]["target"] == 2
    assert shown["seen"]["groups"]["spot"]["desired"] == 0


def test_a_new_controller_takes_over_what_runs(fleet: Fleet) -> None:
    fleet.aws.groups["g-od"].desired = 5
    fleet.aws.groups["g-od"].run(5)
    fleet.tick()
    assert fleet.state["target"] == 5
    assert fleet.aws.groups["g-od"].desired == 5


def test_a_failed_activity_brings_instances_up_in_the_next_pool(fleet: Fleet) -> None:
    spot_is_short(fleet)
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}


def test_a_failed_launch_event_brings_instances_up_in_the_next_pool(fleet: Fleet) -> None:
    fleet.tick()
    detail = {"AutoScalingGroupName": "g-spot", "StatusCode": "Failed", "StatusMessage": NO_CAPACITY}
    fleet.event("EC2 Instance Launch Unsuccessful", detail, "aws.autoscaling")
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}, "another zone may have what this one has not"
    fleet.tick(60)
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}


def test_a_move_is_an_event_a_metric_and_a_line(fleet: Fleet) -> None:
    fleet.tick()
    fleet.aws.groups["g-spot"].fails(fleet.at, NO_CAPACITY)
    fleet.lines()
    fleet.tick(60)
    assert fleet.sent() == [
        (
            "Fleet Capacity Moved",
            {
                "fleet": "test/Fleet",
                "time": fleet.at,
                "target": 2,
                "from": ["spot"],
                "to": ["on-demand"],
                "count": 2,
                "reason": "short",
            },
        )
    ]
    assert fleet.aws.sent[0]["Source"] == "neuron-cdk.fleet"
    decision, spot, _, whole = fleet.lines()
    assert (decision["decision"], decision["set"]) == ("moved", {"spot": 0, "on-demand": 2})
    assert (spot["Fleet"], spot["Pool"], spot["Desired"], spot["InService"]) == ("test/Fleet", "spot", 0, 0)
    assert spot["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "NeuronCdk/Fleet"
    assert spot["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Fleet", "Pool"]]
    assert (whole["Moves"], whole["Unplaced"], whole["Target"]) == (1, 0, 2)


def test_with_every_pool_short_it_says_so_once(fleet: Fleet) -> None:
    spot_is_short(fleet)
    fleet.aws.groups["g-od"].fails(fleet.at, "We currently do not have sufficient inf2.xlarge capacity")
    fleet.tick()
    fleet.tick()
    told = [detail for kind, detail in fleet.sent() if kind == "Fleet Capacity Unavailable"]
    assert [(detail["unplaced"], detail["pools"]) for detail in told] == [(2, ["spot", "on-demand"])]
    assert fleet.sizes() == {"g-spot": 0, "g-od": 0}


def test_a_mistake_is_told_and_moves_nothing(fleet: Fleet) -> None:
    fleet.tick()
    for _ in range(5):
        fleet.aws.groups["g-spot"].fails(
            fleet.at, "The image id '[ami-0]' does not exist. Launching EC2 instance failed."
        )
        fleet.tick()
    assert [(kind, detail["pool"]) for kind, detail in fleet.sent()] == [("Fleet Launch Failing", "spot")]
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}


def test_instances_that_are_never_ready_are_a_mistake(fleet: Fleet) -> None:
    fleet.tick()
    message = "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token t was abandoned"
    for count in (1, 2, 3):
        fleet.aws.groups["g-spot"].fails(fleet.at, message, "Cancelled")
        fleet.tick()
        assert len(fleet.sent()) == (1 if count == 3 else 0)
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}


def test_an_interrupted_instance_is_replaced_elsewhere_and_a_strangers_is_not(fleet: Fleet) -> None:
    fleet.tick()
    fleet.aws.groups["g-spot"].run(2)
    fleet.event("EC2 Spot Instance Interruption Warning", {"instance-id": "i-stranger", "instance-action": "terminate"})
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}
    fleet.event("EC2 Spot Instance Interruption Warning", {"instance-id": "i-0", "instance-action": "terminate"})
    assert fleet.sizes() == {"g-spot": 2, "g-od": 1}


def test_an_event_that_comes_twice_changes_nothing(fleet: Fleet) -> None:
    fleet.tick()
    fleet.aws.groups["g-spot"].run(2)
    for _ in range(2):
        fleet.event("EC2 Spot Instance Interruption Warning", {"instance-id": "i-0"})
    item = fleet._table.item("fleet#test/Fleet")
    fleet.event("EC2 Spot Instance Interruption Warning", {"instance-id": "i-0"})
    assert fleet._table.item("fleet#test/Fleet") == item


def test_time_never_goes_back(fleet: Fleet) -> None:
    fleet.tick()
    fleet.tick(-3600)
    assert fleet.state["now"] == NOW + 60


def test_a_group_is_never_asked_for_what_its_own_limits_forbid(fleet: Fleet) -> None:
    fleet.aws.groups["g-spot"].most = 1
    fleet.aws.groups["g-od"].least = fleet.aws.groups["g-od"].desired = 1
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 1, "g-od": 1}


def test_a_fleet_that_cannot_be_read_stops_the_function(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET", '{"name": "x"}')
    with pytest.raises(Exception, match="the environment variable FLEET cannot be read") as raised:
        load("fleet.controller")
    assert type(raised.value).__name__ == "FleetSettingsError"


def test_the_controller_imports_nothing_but_boto3_and_the_standard_library(fleet: Fleet, environment: None) -> None:
    root = Path(__file__).resolve().parents[2] / "lambda"
    program = (
        "import sys, boto3; had = set(sys.modules); import neuron_hooks.fleet.controller; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - had} - sys.stdlib_module_names - {'neuron_hooks'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []
