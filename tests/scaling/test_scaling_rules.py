"""AWS's scaling rules, on the examples of its guides and at the edges between them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_cdk import scaling_rules
from neuron_cdk.scaling_rules import (
    CHANGE_IN_CAPACITY,
    EC2_LOW_FRACTION,
    EXACT_CAPACITY,
    PERCENT_CHANGE_IN_CAPACITY,
    Cooldown,
    Datapoints,
    adjusted,
    backlog,
    bounded,
    is_high,
    is_low,
    proportional,
    queue_tracking,
    step_adjustment,
    step_scaling,
    target_tracking,
)

NOW = 10_000
NEVER = Cooldown()


def test_it_imports_nothing_and_the_hooks_have_the_very_same_file() -> None:
    root = Path(__file__).resolve().parents[2]
    ours = root / "infra/neuron_cdk/scaling_rules.py"
    imports = [node for node in ast.walk(ast.parse(ours.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == []
    assert (root / "lambda/neuron_hooks/fleet/scaling_rules.py").resolve() == ours


# -- Alarms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datapoints", "high"),
    [
        ((71, 71, 71), True),
        ((10, 71, 71, 71), True),
        ((71, 71, 70), False),
        ((71, 70, 71), False),
        ((71, 71), False),
        ((), False),
        ((71, None, 71, 71), False),
        ((71, 71, 71, None), True),
        ((71, 71, 71, None, None), True),
        ((71, 71, 71, None, None, None), False),
        ((None, None, None), False),
    ],
)
def test_the_high_alarm_is_three_minutes_above_the_target(datapoints: Datapoints, high: bool) -> None:
    assert is_high(datapoints, 70) is high


@pytest.mark.parametrize(
    ("datapoints", "low"),
    [
        ((62.9,) * 15, True),
        ((62.9,) * 14, False),
        ((99,) + (62.9,) * 15, True),
        ((62.9,) * 14 + (63,), False),
        ((62.9,) * 7 + (None,) + (62.9,) * 7, False),
        ((62.9,) * 15 + (None,), True),
        ((None,) * 15, False),
    ],
)
def test_the_low_alarm_is_fifteen_minutes_below(datapoints: Datapoints, low: bool) -> None:
    assert is_low(datapoints, 63) is low


# -- Target tracking -------------------------------------------------------------------------------------------------


def tracked(
    datapoints: Datapoints,
    *,
    capacity: int = 4,
    measured: int | None = None,
    cooldown: Cooldown = NEVER,
    low_fraction: float = scaling_rules.APPLICATION_LOW_FRACTION,
    scale_in: bool = True,
) -> int:
    return target_tracking(
        capacity=capacity,
        measured=capacity if measured is None else measured,
        datapoints=datapoints,
        target=50,
        cooldown=cooldown,
        out_seconds=60,
        in_seconds=300,
        now=NOW,
        low_fraction=low_fraction,
        scale_in=scale_in,
    )


@pytest.mark.parametrize(
    ("measured", "metric", "needed"),
    [(4, 100, 8), (4, 60, 5), (4, 50, 4), (3, 33.3, 2), (10, 5, 1), (10, 0, 0), (0, 100, 0), (3, 0.1 + 0.2, 1)],
)
def test_capacity_is_proportional_to_the_metric_and_rounded_up(measured: int, metric: float, needed: int) -> None:
    assert proportional(measured, metric, 50) == needed


def test_floating_point_adds_no_instance() -> None:
    assert proportional(10, 0.7 * 3, 0.1 * 21) == 10


@pytest.mark.parametrize(
    ("datapoints", "capacity"),
    [
        ((100, 100, 100), 8),
        ((60, 90, 51), 5),
        ((100, 100), 4),
        ((30,) * 15, 3),
        ((30,) * 14 + (44,), 4),
        ((44,) + (30,) * 14, 4),
        ((30,) * 14, 4),
        ((44.9,) * 15, 4),
        ((0,) * 15, 0),
        ((47,) * 15, 4),
        ((None,) * 15, 4),
    ],
)
def test_it_scales_out_on_the_latest_minute_and_in_to_what_the_highest_needed(
    datapoints: Datapoints, capacity: int
) -> None:
    assert tracked(datapoints) == capacity


def test_ec2_auto_scaling_looks_further_below_the_target() -> None:
    assert tracked((36,) * 15, capacity=8) == 6
    assert tracked((36,) * 15, capacity=8, low_fraction=EC2_LOW_FRACTION) == 8
    assert tracked((34,) * 15, capacity=8, low_fraction=EC2_LOW_FRACTION) == 6


def test_with_scale_in_disabled_it_only_grows() -> None:
    assert tracked((0,) * 15, scale_in=False) == 4
    assert tracked((100,) * 3, scale_in=False) == 8


def test_what_does_not_serve_yet_is_not_measured() -> None:
    assert tracked((90,) * 3, capacity=8, measured=4) == 8
    assert tracked((110,) * 3, capacity=8, measured=4) == 9


def test_within_a_cool_down_only_a_larger_scale_out_is_made() -> None:
    cooling = Cooldown(out_at=NOW - 30, out_from=4)
    assert tracked((80,) * 3, capacity=7, cooldown=cooling) == 7, "4 at 80 needed 7, which are there"
    assert tracked((100,) * 3, capacity=7, cooldown=cooling) == 8, "more than before"
    assert tracked((80,) * 3, capacity=7, cooldown=Cooldown(out_at=NOW - 60, out_from=4)) == 12, "it is over"


def test_a_scale_in_waits_for_the_cool_down_and_a_scale_out_does_not() -> None:
    cooling = Cooldown(in_at=NOW - 299)
    assert tracked((0,) * 15, cooldown=cooling) == 4
    assert tracked((0,) * 15, cooldown=Cooldown(in_at=NOW - 300)) == 0
    assert tracked((100,) * 3, cooldown=cooling) == 8


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=20),
    st.integers(0, 50),
    st.integers(0, 50),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_datapoint_makes_it_scale_the_wrong_way(values: list[float | None], capacity: int, measured: int) -> None:
    found = tracked(values, capacity=capacity, measured=measured)
    if found > capacity:
        assert is_high(values, 50)
    if found < capacity:
        assert is_low(values, 45)
        assert all(value is None or proportional(measured, value, 50) <= found for value in values[-15:])


# -- Cool-downs ------------------------------------------------------------------------------------------------------


def test_a_scale_out_ends_the_cool_down_of_a_scale_in() -> None:
    assert Cooldown(in_at=NOW - 10).after(4, 5, NOW, 60) == Cooldown(out_at=NOW, out_from=4)


def test_a_scale_in_starts_its_own() -> None:
    assert Cooldown(out_at=NOW - 10, out_from=2).after(4, 3, NOW, 60) == Cooldown(in_at=NOW)


def test_nothing_done_changes_nothing() -> None:
    cooling = Cooldown(out_at=NOW - 10, out_from=2)
    assert cooling.after(4, 4, NOW, 60) == cooling


def test_a_larger_scale_out_keeps_what_the_first_was_reckoned_from() -> None:
    assert Cooldown(out_at=NOW - 10, out_from=2).after(4, 5, NOW, 60) == Cooldown(out_at=NOW, out_from=2)
    assert Cooldown(out_at=NOW - 60, out_from=2).after(4, 5, NOW, 60) == Cooldown(out_at=NOW, out_from=4)


def test_equal_cool_downs_are_one() -> None:
    assert {Cooldown(1, 2, None), Cooldown(1, 2)} == {Cooldown(1, 2)}
    assert repr(Cooldown(1, 2)) == "Cooldown(out_at=1, out_from=2, in_at=None)"


# -- Steps -----------------------------------------------------------------------------------------------------------

# The guide's example: an alarm at 50, capacity 10.
OUT = ((0, 10, 0), (10, 20, 10), (20, None, 30))
IN = ((-10, 0, 0), (-20, -10, -10), (None, -20, -30))


@pytest.mark.parametrize(
    ("steps", "metric", "adjustment"),
    [
        (OUT, 50, 0),
        (OUT, 59.9, 0),
        (OUT, 60, 10),
        (OUT, 69.9, 10),
        (OUT, 70, 30),
        (OUT, 1000, 30),
        (IN, 40.1, 0),
        (IN, 40, -10),
        (IN, 30.1, -10),
        (IN, 30, -30),
        (IN, 0, -30),
        (OUT, 49, None),
        (IN, 51, None),
    ],
)
def test_bounds_are_inclusive_on_the_side_of_the_threshold(
    steps: tuple[scaling_rules.Step, ...], metric: float, adjustment: int | None
) -> None:
    assert step_adjustment(steps, 50, metric) == adjustment


@pytest.mark.parametrize(
    ("capacity", "kind", "adjustment", "least", "becomes"),
    [
        (3, CHANGE_IN_CAPACITY, 5, 0, 8),
        (3, CHANGE_IN_CAPACITY, -5, 0, 0),
        (3, EXACT_CAPACITY, 5, 0, 5),
        (10, PERCENT_CHANGE_IN_CAPACITY, 10, 0, 11),
        (11, PERCENT_CHANGE_IN_CAPACITY, 30, 0, 14),
        (14, PERCENT_CHANGE_IN_CAPACITY, -10, 0, 13),
        (13, PERCENT_CHANGE_IN_CAPACITY, -30, 0, 10),
        (4, PERCENT_CHANGE_IN_CAPACITY, 25, 2, 6),
        (4, PERCENT_CHANGE_IN_CAPACITY, -25, 2, 2),
        (127, PERCENT_CHANGE_IN_CAPACITY, 10, 0, 139),
        (67, PERCENT_CHANGE_IN_CAPACITY, 1, 0, 68),
        (58, PERCENT_CHANGE_IN_CAPACITY, -1, 0, 57),
        (667, PERCENT_CHANGE_IN_CAPACITY, -1, 0, 661),
        (10, PERCENT_CHANGE_IN_CAPACITY, 0, 2, 10),
    ],
)
def test_an_adjustment_of_each_kind(capacity: int, kind: str, adjustment: int, least: int, becomes: int) -> None:
    assert adjusted(capacity, kind, adjustment, least) == becomes


def test_another_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="ChangeInCapacity, PercentChangeInCapacity or ExactCapacity, not 'Half'"):
        adjusted(1, "Half", 1)


def stepped(
    metric: float,
    capacity: int,
    cooldown: Cooldown = NEVER,
    kind: str = PERCENT_CHANGE_IN_CAPACITY,
    by: int | None = None,
) -> int:
    steps = (*IN, *OUT) if by is None else ((None, 0, -by), (0, None, by))
    return step_scaling(
        capacity=capacity, kind=kind, steps=steps, threshold=50, metric=metric, cooldown=cooldown, seconds=300, now=NOW
    )


def test_the_guides_example_from_10_to_14_and_back() -> None:
    assert [stepped(60, 10), stepped(70, 11), stepped(40, 14), stepped(30, 13)] == [11, 14, 13, 10]


def test_a_metric_outside_every_step_changes_nothing() -> None:
    only_out = step_scaling(
        capacity=4, kind=CHANGE_IN_CAPACITY, steps=OUT, threshold=50, metric=1, cooldown=NEVER, seconds=300, now=NOW
    )
    assert only_out == 4


def test_the_guides_example_of_three_within_the_cool_down_of_two_adds_one() -> None:
    cooling = Cooldown(out_at=NOW - 10, out_from=10)
    assert stepped(60, 12, cooling, CHANGE_IN_CAPACITY, by=3) == 13
    assert stepped(60, 12, cooling, CHANGE_IN_CAPACITY, by=2) == 12
    assert stepped(60, 12, cooling, CHANGE_IN_CAPACITY, by=1) == 12


def test_steps_in_wait_and_steps_out_do_not() -> None:
    cooling = Cooldown(in_at=NOW - 10)
    assert stepped(40, 10, cooling) == 10
    assert stepped(60, 10, cooling) == 11
    assert stepped(40, 10, Cooldown(in_at=NOW - 300)) == 9


# -- Queues ----------------------------------------------------------------------------------------------------------


def queued(datapoints: Datapoints, capacity: int = 4, cooldown: Cooldown = NEVER) -> int:
    return queue_tracking(
        capacity=capacity, datapoints=datapoints, target=10, cooldown=cooldown, in_seconds=300, now=NOW
    )


@pytest.mark.parametrize(("messages", "needed"), [(0, 0), (1, 1), (10, 1), (11, 2), (1500, 150)])
def test_the_backlog_needs_an_instance_for_each_part_begun(messages: int, needed: int) -> None:
    assert backlog(messages, 10) == needed


@pytest.mark.parametrize(
    ("datapoints", "capacity", "becomes"),
    [
        ((1,), 0, 1),
        ((35,), 0, 4),
        ((35, None, None), 0, 4),
        ((35, None, None, None), 0, 0),
        ((0,), 0, 0),
        ((99, 99), 4, 4),
        ((99, 99, 99), 4, 10),
        ((99, 99, 41), 4, 5),
        ((99, 40, 99), 4, 4),
        ((0,) * 15, 4, 0),
        ((0,) * 14 + (25,), 4, 3),
        ((0,) * 14 + (31,), 4, 4),
        ((0,) * 14, 4, 4),
        ((), 4, 4),
    ],
)
def test_a_queue_scales_to_its_backlog(datapoints: Datapoints, capacity: int, becomes: int) -> None:
    assert queued(datapoints, capacity) == becomes


def test_a_queue_that_empties_waits_for_the_cool_down() -> None:
    assert queued((0,) * 15, cooldown=Cooldown(in_at=NOW - 10)) == 4
    assert queued((99,) * 15, cooldown=Cooldown(in_at=NOW - 10)) == 10


@pytest.mark.parametrize(("capacity", "within"), [(0, 1), (1, 1), (5, 5), (8, 8), (9, 8)])
def test_a_capacity_stays_within_its_limits(capacity: int, within: int) -> None:
    assert bounded(capacity, 1, 8) == within
