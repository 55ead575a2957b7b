"""The controller's answers to CloudFormation: a fleet that comes, goes, and gets another version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hooks.controlled_fleet import STACK, Fleet, spot_is_short
from tests.hooks.fleet_aws import error

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
        start = fleet.module.fleet_aws.start_refresh
        killed.setattr(fleet.module.fleet_aws, "start_refresh", lambda *request: [start(*request), 1 / 0])
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
