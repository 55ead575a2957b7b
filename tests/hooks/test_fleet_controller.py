"""The controller of a fleet from event to act: what it writes, sets, sends and answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.fleet_aws import FakeAws, error
from tests.hooks.fleet_world import NO_CAPACITY, moment

Load = Callable[[str], ModuleType]
NOW = 1_800_000_000
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/fleet/one"
BLOCK = "cr-0123456789abcdef0"


class Fleet:
    """A controller, its AWS, and its events. ``at`` is the time of the next one."""

    def __init__(self, load: Load, fake: FakeAws, table: Any, inbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self._load, self.aws, self._table, self._inbox, self._capsys = load, fake, table, inbox, capsys
        self.at = NOW

    def start(self, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        """Load the controller of this fleet."""
        document = {
            "name": "test/Fleet",
            "pools": [
                {"name": "spot", "kind": "spot", "group": "g-spot", "base": 0, "reservations": []},
                {"name": "on-demand", "kind": "on-demand", "group": "g-od", "base": 0, "reservations": []},
            ],
            "min": 0,
            "max": 8,
            "start": 2,
            "gang": False,
            "owns_size": True,
            "return_after_s": 900,
            "scaling": None,
            "refresh": None,
            **more,
        }
        monkeypatch.setenv("FLEET", json.dumps(document))
        sys.modules.pop("neuron_hooks.fleet_controller", None)
        self.module = self._load("fleet_controller")
        monkeypatch.setattr(self.module.time, "time", lambda: self.at)
        real = self.module.aws.client
        monkeypatch.setattr(
            self.module.aws, "client", lambda name: real(name) if name == "dynamodb" else self.aws.client(name)
        )

    def tick(self, after: int = 60) -> dict[str, Any]:
        self.at += after
        return self.event("Scheduled Event", {}, "aws.events")

    def event(self, kind: str, detail: dict[str, Any], source: str = "aws.ec2") -> dict[str, Any]:
        return self.send({"detail-type": kind, "source": source, "time": moment(self.at), "detail": detail})

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.module.handler(event, None)
        return answer

    def stack(self, kind: str, *, stack: str = STACK, request: str = "r-1", old: str = "", new: str = "1") -> None:
        event = {
            "RequestType": kind,
            "RequestId": request,
            "ResponseURL": self._inbox.url,
            "StackId": stack,
            "LogicalResourceId": "Controller",
            "ResourceProperties": {"ServiceToken": "arn", "Version": new},
        }
        if kind != "Create":
            event |= {"PhysicalResourceId": "fleet#test/Fleet"}
        if kind == "Update":
            event |= {"OldResourceProperties": {"Version": old}}
        self.send(event)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._table.item("fleet#test/Fleet")["document"])
        return state

    @property
    def answers(self) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = self._inbox.answers
        return answers

    def sizes(self) -> dict[str, int]:
        return {name: group.desired for name, group in self.aws.groups.items()}

    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one["DetailType"], json.loads(one["Detail"])) for one in self.aws.sent]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def fleet(
    load: Load, aws: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Fleet:
    one = Fleet(load, FakeAws("g-spot", "g-od"), aws, inbox, capsys)
    one.start(monkeypatch)
    return one


def spot_is_short(fleet: Fleet) -> None:
    """Until the shortage is believed."""
    fleet.tick()
    fleet.aws.groups["g-spot"].fails(fleet.at, NO_CAPACITY)
    fleet.tick(30)
    fleet.tick(60)


# -- Deciding and acting ---------------------------------------------------------------------------------------------


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


# -- Blocks ----------------------------------------------------------------------------------------------------------


def test_a_blocks_end_is_known_from_ec2s_warning_alone(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        {"name": "capacity-block", "kind": "capacity-block", "group": "g-spot", "base": 0, "reservations": [BLOCK]},
        {"name": "on-demand", "kind": "on-demand", "group": "g-od", "base": 0, "reservations": []},
    ]
    fleet.start(monkeypatch, pools=pools)
    fleet.tick()
    fleet.aws.groups["g-spot"].run(2)
    fleet.event("Capacity Block Reservation Expiration Warning", {"capacity-reservation-id": "cr-of-somebody-else"})
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}
    fleet.event("Capacity Block Reservation Expiration Warning", {"capacity-reservation-id": BLOCK})
    assert fleet.sizes() == {"g-spot": 2, "g-od": 2}, "make before break"
    fleet.tick(5 * 60)
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}, "35 minutes before the end, whatever serves"


def test_a_block_that_has_not_begun_is_not_tried(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        {"name": "capacity-block", "kind": "capacity-block", "group": "g-spot", "base": 0, "reservations": [BLOCK]},
        {"name": "on-demand", "kind": "on-demand", "group": "g-od", "base": 0, "reservations": []},
    ]
    fleet.start(monkeypatch, pools=pools, max=2)
    block = {"State": "scheduled", "TotalInstanceCount": 2, "AvailableInstanceCount": 0}
    fleet.aws.reservations[BLOCK] = block
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}
    fleet.aws.groups["g-od"].run(2)
    fleet.aws.reservations[BLOCK] = {**block, "State": "active", "AvailableInstanceCount": 2}
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 1, "g-od": 1}, "without room: one ends for one that is sure to start"


def test_a_group_that_scales_itself_is_left_alone_until_its_block_ends(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = [
        {"name": "capacity-block", "kind": "capacity-block", "group": "g-spot", "base": 0, "reservations": [BLOCK]}
    ]
    fleet.start(monkeypatch, pools=pools, owns_size=False)
    fleet.aws.groups["g-spot"].desired = 5
    fleet.tick()
    assert fleet.aws.set == []
    fleet.event("Capacity Block Expiration Warning", {"capacity-reservation-id": BLOCK})
    assert fleet.sizes()["g-spot"] == 0


# -- Being asked -----------------------------------------------------------------------------------------------------


def test_show_changes_nothing(fleet: Fleet) -> None:
    shown = fleet.send({"action": "show"})
    assert shown["seen"]["groups"]["on-demand"]["most"] == 8
    assert fleet.aws.set == []


def test_a_target_is_set_and_told(fleet: Fleet) -> None:
    fleet.tick()
    fleet.send({"action": "target", "target": 4})
    assert fleet.sizes() == {"g-spot": 4, "g-od": 0}
    assert [(kind, detail["previous"], detail["target"]) for kind, detail in fleet.sent()] == [("Fleet Resized", 2, 4)]


def test_limits_clamp_the_target_and_hold(fleet: Fleet) -> None:
    fleet.tick()
    fleet.send({"action": "limits", "min": 3, "max": 5})
    assert fleet.sizes() == {"g-spot": 3, "g-od": 0}
    fleet.send({"action": "target", "target": 5})
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 5, "g-od": 0}


def test_a_deployment_with_other_limits_ends_those_of_a_schedule(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.tick()
    fleet.send({"action": "limits", "min": 3, "max": 5})
    fleet.start(monkeypatch, max=6)
    fleet.send({"action": "target", "target": 6})
    assert fleet.sizes()["g-spot"] == 6


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"action": "target", "target": 9}, "a target of 9 is not within 0 to 8, the limits in force"),
        ({"action": "target", "target": "2"}, "target must be a whole number from 0, not '2'"),
        ({"action": "target"}, "target must be a whole number from 0, not None"),
        ({"action": "limits", "min": 4, "max": 2}, "limits of 4 to 2 are not an interval within 0 to 8"),
        ({"action": "limits", "min": 0, "max": 9}, "limits of 0 to 9 are not an interval within 0 to 8"),
        ({"action": "grow"}, "the action is 'grow'; there are show, target and limits"),
    ],
    ids=lambda value: "" if isinstance(value, str) else json.dumps(value),
)
def test_what_cannot_be_is_refused_and_says_what_could(fleet: Fleet, event: dict[str, Any], message: str) -> None:
    fleet.tick()
    with pytest.raises(fleet.module.fleet_requests.FleetRequestError, match=message):
        fleet.send(event)
    assert fleet.state["target"] == 2


def test_a_group_that_scales_itself_takes_no_target(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.start(monkeypatch, owns_size=False)
    with pytest.raises(fleet.module.fleet_requests.FleetRequestError, match="scales itself"):
        fleet.send({"action": "target", "target": 1})


# -- Scaling ---------------------------------------------------------------------------------------------------------


def scaling(metric: str, target: float) -> dict[str, Any]:
    query = {"Namespace": "N", "MetricName": "M", "Dimensions": [{"Name": "Fleet", "Value": "f"}], "Stat": "Average"}
    return {
        "metric": metric,
        "target": target,
        "scale_in_cooldown_s": 300,
        "scale_out_cooldown_s": 60,
        "query": query,
    }


def test_utilization_scales_out_in_proportion_to_what_serves(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.start(monkeypatch, scaling=scaling("neuroncore-utilization", 50))
    fleet.tick()
    fleet.aws.groups["g-spot"].run(2)
    fleet.aws.metric = {NOW + 60 * minute: 90.0 for minute in range(-3, 1)}
    fleet.tick(0)
    assert fleet.sizes() == {"g-spot": 4, "g-od": 0}


def test_a_queue_wakes_a_fleet_from_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.start(monkeypatch, scaling=scaling("queue-depth", 10), start=0)
    fleet.tick()
    fleet.aws.metric = {fleet.at - fleet.at % 60: 35.0}
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 4, "g-od": 0}


def test_metrics_are_looked_at_once_a_minute(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.start(monkeypatch, scaling=scaling("queue-depth", 10), start=0)
    fleet.aws.metric = {fleet.at - fleet.at % 60 - 60: 35.0}
    fleet.event("EC2 Instance Launch Successful", {"AutoScalingGroupName": "g-spot"}, "aws.autoscaling")
    assert fleet.state["target"] == 0


# -- Two at once, and dying ------------------------------------------------------------------------------------------


def test_a_run_that_dies_before_it_acts_loses_nothing(fleet: Fleet) -> None:
    fleet.aws.refuse["set_desired_capacity"] = RuntimeError("killed")
    with pytest.raises(RuntimeError, match="killed"):
        fleet.tick()
    assert fleet.state["desired"] == {"spot": 2, "on-demand": 0}
    fleet.aws.refuse.clear()
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}


def test_of_two_runs_at_once_one_decides_again_and_both_are_heard(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.tick()
    adapter = fleet.module.aws
    write, nested = adapter.update_item, []

    def interleaved(request: Any) -> Any:
        if not nested:
            nested.append(True)
            fleet.send({"action": "target", "target": 5})
        return write(request)

    monkeypatch.setattr(adapter, "update_item", interleaved)
    detail = {"AutoScalingGroupName": "g-od", "StatusMessage": NO_CAPACITY}
    fleet.event("EC2 Instance Launch Unsuccessful", detail, "aws.autoscaling")
    assert fleet.state["target"] == 5
    assert "on-demand" in fleet.state["short"]
    assert fleet.sizes() == {"g-spot": 5, "g-od": 0}


def test_a_run_that_always_loses_gives_up(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.module.aws, "update_item", lambda request: False)
    with pytest.raises(fleet.module.ConflictError, match="test/Fleet was written by others 5 times"):
        fleet.tick()
    assert fleet.aws.set == []


def test_what_is_overtaken_raises_nothing(fleet: Fleet) -> None:
    fleet.tick()
    fleet.aws.groups["g-spot"].run(2)
    fleet.aws.groups["g-spot"].fails(fleet.at, NO_CAPACITY)
    fleet.at += 120
    # Between the lowering and the raising of this run another one decides that nothing is wanted.
    fleet.aws.groups["g-spot"].instances = []
    fleet.aws.before["set_desired_capacity"] = lambda: fleet.send({"action": "target", "target": 0})
    fleet.tick(0)
    assert fleet.state["target"] == 0
    assert fleet.sizes() == {"g-spot": 0, "g-od": 0}


def test_groups_are_lowered_before_others_are_raised(fleet: Fleet) -> None:
    spot_is_short(fleet)
    assert fleet.aws.set[-2:] == [("g-spot", 0), ("g-od", 2)]


def test_an_event_that_could_not_be_sent_is_sent_by_the_next_run(fleet: Fleet) -> None:
    fleet.tick()
    fleet.aws.refuse["put_events"] = RuntimeError("no bus")
    with pytest.raises(RuntimeError, match="no bus"):
        fleet.send({"action": "target", "target": 3})
    fleet.aws.refuse.clear()
    fleet.tick()
    assert [kind for kind, _ in fleet.sent()] == ["Fleet Resized"]
    fleet.tick()
    assert len(fleet.sent()) == 1


# -- CloudFormation --------------------------------------------------------------------------------------------------

REFRESH = {"min_healthy_percent": 90, "checkpoints": [25, 100], "bake_seconds": 600, "alarms": ["a"], "warmup_s": 60}


def refreshing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of two on spot, in a stack, that is told of another version."""
    fleet.start(monkeypatch, refresh=REFRESH)
    fleet.stack("Create")
    fleet.aws.groups["g-spot"].run(2)
    fleet.answers.clear()
    fleet.stack("Update", request="r-2", old="1", new="2")


def ended(fleet: Fleet, status: str, reason: str = "") -> None:
    fleet.aws.groups["g-spot"].refreshes[0] |= {"Status": status, "StatusReason": reason}


def test_create_is_answered_at_once_and_places_the_start(fleet: Fleet) -> None:
    fleet.stack("Create")
    assert [(one["Status"], one["PhysicalResourceId"]) for one in fleet.answers] == [("SUCCESS", "fleet#test/Fleet")]
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}


def test_create_forgets_what_an_older_stack_of_the_name_left(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.send({"action": "target", "target": 7})
    fleet.stack("Delete")
    fleet.aws.groups["g-spot"].desired = 0
    fleet.stack("Create", stack=STACK + "-new")
    assert (fleet.state["target"], fleet.state["ended"]) == (2, False)


def test_create_forgets_an_older_stack_that_never_said_it_ended(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.send({"action": "target", "target": 7})
    fleet.aws.groups["g-spot"].desired = 0
    fleet.stack("Create", stack=STACK + "-new")
    assert (fleet.state["target"], fleet.state["stack"]) == (2, STACK + "-new")


def test_create_delivered_twice_resets_once(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.send({"action": "target", "target": 7})
    fleet.stack("Create")
    assert fleet.state["target"] == 7
    assert len(fleet.answers) == 2


def test_create_without_its_groups_fails_by_name(fleet: Fleet) -> None:
    del fleet.aws.groups["g-od"]
    fleet.stack("Create")
    assert fleet.answers[0]["Status"] == "FAILED"
    assert "there are no Auto Scaling groups g-od" in fleet.answers[0]["Reason"]


def test_delete_is_answered_at_once_and_nothing_is_done_ever_after(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.aws.groups.clear()
    fleet.aws.set.clear()
    fleet.stack("Delete", request="r-9")
    assert fleet.answers[-1]["Status"] == "SUCCESS"
    fleet.tick()
    assert fleet.aws.set == []


def test_a_late_delete_of_an_older_stack_ends_nothing(fleet: Fleet) -> None:
    fleet.stack("Create", stack=STACK + "-new")
    fleet.stack("Delete", stack=STACK)
    assert fleet.state["ended"] is False
    assert fleet.answers[-1]["Status"] == "SUCCESS"


def test_another_version_refreshes_the_groups_that_have_instances(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshing(fleet, monkeypatch)
    assert fleet.aws.started == [
        (
            "g-spot",
            {
                "MinHealthyPercentage": 90,
                "InstanceWarmup": 60,
                "CheckpointPercentages": [25, 100],
                "CheckpointDelay": 600,
                "BakeTime": 600,
                "SkipMatching": True,
                "AlarmSpecification": {"Alarms": ["a"]},
            },
        )
    ]
    fleet.tick()
    assert fleet.answers == []
    ended(fleet, "Successful")
    fleet.tick()
    assert [(one["Status"], one["RequestId"]) for one in fleet.answers] == [("SUCCESS", "r-2")]
    fleet.tick()
    assert len(fleet.answers) == 1
    assert len(fleet.aws.started) == 1


def test_a_refresh_that_fails_fails_the_deployment_with_its_reason(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshing(fleet, monkeypatch)
    ended(fleet, "Failed", "alarm a is on")
    fleet.tick()
    assert fleet.answers[0]["Status"] == "FAILED"
    assert "g-spot: instance refresh r-0 ended as Failed: alarm a is on" in fleet.answers[0]["Reason"]
    fleet.stack("Update", request="r-3", old="2", new="1")
    assert len(fleet.aws.started) == 2, "the rollback refreshes what was replaced"


def test_a_refresh_that_is_refused_fails_the_deployment(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.aws.refuse["start_instance_refresh"] = error("ValidationError", "StartInstanceRefresh", "no template")
    refreshing(fleet, monkeypatch)
    assert fleet.answers[0]["Status"] == "FAILED"
    assert "no template" in fleet.answers[0]["Reason"]


def test_after_55_minutes_the_deployment_goes_on_and_so_does_the_refresh(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshing(fleet, monkeypatch)
    fleet.tick(54 * 60)
    assert fleet.answers == []
    fleet.tick(60)
    assert (fleet.answers[0]["Status"], fleet.answers[0]["Data"]) == ("SUCCESS", {"Refresh": "still running"})
    assert fleet.aws.cancelled == []


def test_an_older_refresh_is_cancelled_before_another_starts(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.aws.groups["g-spot"].refreshes = [{"InstanceRefreshId": "r-old", "Status": "InProgress"}]
    refreshing(fleet, monkeypatch)
    assert fleet.aws.cancelled == ["g-spot"]
    assert fleet.aws.started == []
    ended(fleet, "Cancelled")
    fleet.tick()
    assert len(fleet.aws.started) == 1
    assert fleet.answers == []


def test_a_group_that_has_emptied_needs_no_refresh(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.aws.groups["g-spot"].refreshes = [{"InstanceRefreshId": "r-old", "Status": "InProgress"}]
    refreshing(fleet, monkeypatch)
    ended(fleet, "Cancelled")
    fleet.aws.groups["g-spot"].instances = []
    fleet.tick()
    assert fleet.aws.started == []
    assert [one["Status"] for one in fleet.answers] == ["SUCCESS"]


def test_an_update_delivered_twice_refreshes_once(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    refreshing(fleet, monkeypatch)
    fleet.stack("Update", request="r-2", old="1", new="2")
    assert len(fleet.aws.started) == 1
    assert fleet.answers == []


def test_a_run_that_dies_when_it_started_a_refresh_is_taken_up(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.aws.groups["g-spot"].refreshes = [{"InstanceRefreshId": "r-old", "Status": "InProgress"}]
    refreshing(fleet, monkeypatch)
    ended(fleet, "Cancelled")
    with monkeypatch.context() as killed:
        start = fleet.module.aws.start_refresh
        killed.setattr(fleet.module.aws, "start_refresh", lambda *request: [start(*request), 1 / 0])
        with pytest.raises(ZeroDivisionError):
            fleet.tick()
    fleet.tick()
    ended(fleet, "Successful")
    fleet.tick()
    assert len(fleet.aws.started) == 1
    assert [one["Status"] for one in fleet.answers] == ["SUCCESS"]


@pytest.mark.parametrize(
    ("refresh", "new", "instances"),
    [(None, "2", 2), (REFRESH, "1", 2), (REFRESH, "2", 0)],
    ids=["no refresh", "same version", "no instances"],
)
def test_an_update_with_nothing_to_refresh_is_answered_at_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, refresh: dict[str, Any] | None, new: str, instances: int
) -> None:
    fleet.start(monkeypatch, refresh=refresh)
    fleet.stack("Create")
    fleet.aws.groups["g-spot"].run(instances)
    fleet.stack("Update", request="r-2", old="1", new=new)
    assert [one["RequestId"] for one in fleet.answers] == ["r-1", "r-2"]
    assert fleet.aws.started == []


def test_nothing_moves_back_while_instances_are_refreshed(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.start(monkeypatch, refresh=REFRESH)
    fleet.stack("Create")
    spot_is_short(fleet)
    fleet.aws.groups["g-od"].run(2)
    fleet.stack("Update", request="r-2", old="1", new="2")
    fleet.tick(1800)
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}
    fleet.aws.groups["g-od"].refreshes[0]["Status"] = "Successful"
    fleet.tick()
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 2, "g-od": 2}


def test_the_response_address_is_neither_logged_nor_shown(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    refreshing(fleet, monkeypatch)
    shown = fleet.tick()
    assert shown["refreshing"] == "2"
    assert "signature" not in json.dumps([shown, fleet.lines()])


# -- Cold start ------------------------------------------------------------------------------------------------------


def test_a_fleet_that_cannot_be_read_stops_the_function(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET", '{"name": "x"}')
    with pytest.raises(Exception, match="the environment variable FLEET cannot be read") as raised:
        load("fleet_controller")
    assert type(raised.value).__name__ == "FleetSettingsError"


def test_the_controller_imports_nothing_but_boto3_and_the_standard_library(fleet: Fleet, environment: None) -> None:
    root = Path(__file__).resolve().parents[2] / "lambda"
    program = (
        "import sys, boto3; had = set(sys.modules); import neuron_hooks.fleet_controller; "
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
