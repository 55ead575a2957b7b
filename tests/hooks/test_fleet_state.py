"""What is remembered of a fleet: it survives being written, and facts merge whatever their order."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_hooks.fleet import seen as fleet_seen
from neuron_hooks.fleet import settings as fleet_settings
from neuron_hooks.fleet.events import BLOCK_ENDS, INTERRUPTION, LAUNCH_UNSUCCESSFUL, learn, time_of
from neuron_hooks.fleet.scaling_rules import Cooldown
from neuron_hooks.fleet.seen import Group, Instance, Launch, Seen
from neuron_hooks.fleet.state import Renewal, Shortage, State, fitted, fresh, from_json, get, put, read, to_json
from tests.hooks.fleet_world import BAD_IMAGE, NO_CAPACITY, fleet, moment, pool

NOW = 1_800_000_000
BLOCK = "cr-0123456789abcdef0"
FLEET = fleet(pool("spot"), pool("capacity-block", reservations=(BLOCK,)), return_after_s=600)
SEEN = Seen(
    {"spot": Group(2, 0, 8, (Instance("i-0", True), Instance("i-1", True))), "capacity-block": Group(0, 0, 8)}, {}
)
FULL = State(
    stack="arn",
    now=NOW,
    file_limits=(1, 8),
    limits=(2, 4),
    target=3,
    desired={"spot": 3},
    short={"spot": Shortage(NOW - 60, NOW)},
    interrupted={"spot": NOW},
    doomed={"i-0": NOW},
    failing={"spot": NOW},
    block_ends={BLOCK: NOW},
    moved_at=NOW,
    returning=True,
    before_return={"spot": 1},
    unplaced=1,
    reported={"spot": NOW},
    cooldown=Cooldown(NOW, 2, None),
    renewal=Renewal({"RequestId": "r"}, "2", NOW, {"group-spot": ""}),
    outbox=({"kind": "Fleet Resized", "detail": {"target": 3}},),
)


def event(kind: str, at: int, **detail: str) -> dict[str, Any]:
    return {
        "detail-type": kind,
        "time": moment(at),
        "detail": {name.replace("_", "-"): one for name, one in detail.items()},
    }


def failed(at: int, message: str = NO_CAPACITY) -> dict[str, Any]:
    detail = {"AutoScalingGroupName": "group-spot", "StatusMessage": message}
    return {"detail-type": LAUNCH_UNSUCCESSFUL, "time": moment(at), "detail": detail}


def told(*events: dict[str, Any], state: State | None = None, now: int = NOW) -> State:
    state = state or fresh(FLEET, SEEN, NOW - 7200)
    for one in events:
        state = learn(FLEET, state, SEEN, one, now)
    return state


def test_a_state_is_read_as_it_was_written() -> None:
    assert from_json(to_json(FULL)) == FULL
    assert from_json(to_json(State())) == State()


def test_a_state_of_another_version_is_read_as_far_as_it_goes() -> None:
    assert from_json('{"target": 3, "moon": "full"}') == State(target=3)


def test_an_item_that_is_not_there_is_no_state() -> None:
    assert read(None) == (None, 0)


def test_the_first_write_wants_no_item_and_later_ones_the_version_they_read() -> None:
    first, later = put("t", "f", FULL, 0), put("t", "f", FULL, 7)
    assert first["ConditionExpression"] == "attribute_not_exists(#version)"
    assert later["ConditionExpression"] == "#version = :read"
    assert later["ExpressionAttributeValues"][":read"] == {"N": "7"}
    assert later["Key"] == get("t", "f")["Key"] == {"artifact_key": {"S": "fleet#f"}}


def test_pools_that_a_deployment_adds_have_nothing_yet_and_those_it_takes_are_forgotten() -> None:
    state = fitted(replace(FULL, desired={"on-demand": 2, "spot": 1}), FLEET)
    assert state.desired == {"spot": 1, "capacity-block": 0}


@pytest.mark.parametrize("message", [NO_CAPACITY, BAD_IMAGE])
def test_facts_in_any_order_and_twice_leave_the_same_state(message: str) -> None:
    facts = [
        failed(NOW - 100, message),
        failed(NOW - 40, message),
        event(INTERRUPTION, NOW - 90, instance_id="i-0"),
        event(BLOCK_ENDS[0], NOW - 30, capacity_reservation_id=BLOCK),
    ]
    states = {to_json(told(*order, *order)) for order in permutations(facts)}
    assert len(states) == 1


@given(st.lists(st.integers(0, 599), min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_failures_of_one_shortage_merge_in_any_order(ago: list[int], shuffled: Any) -> None:
    events = [failed(NOW - seconds) for seconds in ago]
    mixed = events * 2
    shuffled.shuffle(mixed)
    assert told(*mixed).short == told(*events).short == {"spot": Shortage(NOW - max(ago), NOW - min(ago))}


def test_a_later_shortage_is_another_and_an_older_one_no_news() -> None:
    assert told(failed(NOW - 1000), failed(NOW - 100)).short["spot"] == Shortage(NOW - 100, NOW - 100)
    assert told(failed(NOW - 100), failed(NOW - 1000)).short["spot"] == Shortage(NOW - 100, NOW - 100)


def test_what_is_not_ours_teaches_nothing() -> None:
    before = told({})
    stranger = {**failed(NOW), "detail": {"AutoScalingGroupName": "group-x", "StatusMessage": NO_CAPACITY}}
    events = [
        stranger,
        event(INTERRUPTION, NOW, instance_id="i-stranger"),
        event(BLOCK_ENDS[0], NOW, capacity_reservation_id="cr-stranger"),
        event("EC2 Instance Rebalance Recommendation", NOW, instance_id="i-0"),
        {"action": "show"},
    ]
    assert told(*events, state=before) == before


def test_a_warned_instance_is_doomed_for_ten_minutes_or_until_it_is_gone() -> None:
    warned = told(event(INTERRUPTION, NOW, instance_id="i-0"))
    assert warned.doomed == {"i-0": NOW}
    assert told({}, state=warned, now=NOW + 600).doomed == {}
    gone = replace(SEEN, groups={**SEEN.groups, "spot": Group(2, 0, 8)})
    assert learn(FLEET, warned, gone, {}, NOW + 60).doomed == {}


def launched(*launches: Launch) -> State:
    seen = replace(SEEN, groups={**SEEN.groups, "spot": Group(2, 0, 8, launches=launches)})
    return learn(FLEET, fresh(FLEET, seen, NOW), seen, {}, NOW)


def test_three_abandoned_in_a_row_are_a_failure_and_a_success_between_is_not() -> None:
    abandoned = [Launch(NOW - seconds, "Cancelled", "… was abandoned: Heartbeat Timeout") for seconds in (30, 20, 10)]
    assert launched(*abandoned[:2]).failing == {}
    assert launched(*abandoned).failing == {"spot": NOW - 10}
    assert launched(*abandoned, Launch(NOW - 15, "Successful", "")).failing == {}


def test_a_launch_that_was_called_off_is_no_failure() -> None:
    assert launched(Launch(NOW, "Cancelled", NO_CAPACITY)).short == {}


def test_time_is_the_events_own() -> None:
    assert time_of({"time": "2027-01-15T08:00:00Z"}) == NOW
    assert time_of({"action": "show"}) is None


def test_instances_on_their_way_out_and_in_warm_pools_are_not_counted() -> None:
    states = ["Pending", "Pending:Wait", "Pending:Proceed", "InService", "Standby", "Terminating", "Terminating:Wait"]
    description = {
        "DesiredCapacity": 3,
        "MinSize": 0,
        "MaxSize": 8,
        "Instances": [
            {"InstanceId": state, "LifecycleState": state, "HealthStatus": "Healthy"}
            for state in [*states, "Warmed:Stopped"]
        ]
        + [{"InstanceId": "sick", "LifecycleState": "InService", "HealthStatus": "Unhealthy"}],
    }
    group = fleet_seen.group(description, [])
    assert [one.id for one in group.instances] == [*states[:5], "sick"]
    assert [one.id for one in group.instances if one.serving] == ["InService"]


def test_a_fleet_without_a_field_is_refused() -> None:
    with pytest.raises(fleet_settings.FleetSettingsError, match="FLEET cannot be read"):
        fleet_settings.parse("{}")
    with pytest.raises(fleet_settings.FleetSettingsError, match="FLEET cannot be read"):
        fleet_settings.parse("no json")
