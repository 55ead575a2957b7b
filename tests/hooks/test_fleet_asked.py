"""The controller asked by a person or a schedule, and by a metric."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hooks.controlled_fleet import NOW, Fleet


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
    with pytest.raises(fleet.module.requests.FleetRequestError, match=message):
        fleet.send(event)
    assert fleet.state["target"] == 2


def test_a_group_that_scales_itself_takes_no_target(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.start(monkeypatch, owns_size=False)
    with pytest.raises(fleet.module.requests.FleetRequestError, match="scales itself"):
        fleet.send({"action": "target", "target": 1})


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
