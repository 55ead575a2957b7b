"""Two runs of the controller at once, and one that dies: nothing is lost and nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hooks.controlled_fleet import Fleet, spot_is_short
from tests.hooks.fleet_world import NO_CAPACITY


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
