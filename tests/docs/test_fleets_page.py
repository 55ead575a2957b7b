"""What ``docs/fleets.md`` says in figures and names is what the code has."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from neuron_cdk import scaling_rules, spec
from neuron_cdk.fleet import neuron_metrics, user_data
from neuron_hooks.fleet import capacity, instance_refresh, pool_view, report
from neuron_hooks.fleet import seen as fleet_seen
from neuron_hooks.fleet import settings as fleet_settings
from neuron_hooks.fleet import state as fleet_state

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "fleets.md").read_text()
PROSE = " ".join(PAGE.split())
FIELDS = spec.Fleet.model_fields
REFRESH = spec.Refresh()
POOLS = (
    fleet_settings.Pool("spot", "spot", "a", 0, ()),
    fleet_settings.Pool("on-demand", "on-demand", "b", 0, ()),
)
FLEET = fleet_settings.Fleet("Fleet", POOLS, 0, 8, 0, False, True, 900, None, None)


@pytest.mark.parametrize(
    "said",
    [
        f"`return_after_minutes` ({FIELDS['return_after_minutes'].default})",
        f"`drain_minutes` ({FIELDS['drain_minutes'].default})",
        f"`min_healthy_percent` ({REFRESH.min_healthy_percent})",
        f"`bake_minutes` ({REFRESH.bake_minutes})",
        f"({REFRESH.checkpoints[0]} and {REFRESH.checkpoints[1]} %)",
        f"`scale_out_cooldown_s` ({spec.FleetScaling.model_fields['scale_out_cooldown_s'].default})",
        f"`scale_in_cooldown_s` ({spec.FleetScaling.model_fields['scale_in_cooldown_s'].default})",
        f"{pool_view.CLOSE_BEFORE_END_S // 60} minutes before, it is closed",
        f"{pool_view.DRAIN_BEFORE_END_S // 60} minutes before, what is left is drained",
        f"in the first {instance_refresh.DEADLINE_S // 60} minutes",
        f"has {user_data.MOST_BYTES // 1024} KiB",
    ],
)
def test_a_figure_is_the_codes(said):
    assert said in PROSE


def test_the_rules_of_scaling_are_told_as_they_are():
    told = (scaling_rules.HIGH_DATAPOINTS, scaling_rules.LOW_DATAPOINTS, scaling_rules.APPLICATION_LOW_FRACTION)
    assert told == (3, 15, 0.9)
    assert "after three minutes above the target; in after fifteen minutes below nine tenths of it" in PROSE
    assert pool_view.SETTLE_S == 60
    assert "After a minute it is believed" in PROSE


def test_events_and_their_details_are_in_the_table():
    before = fleet_state.State(now=10_000, target=1, desired={"spot": 1, "on-demand": 0})
    after = replace(before, target=2, unplaced=1, failing={"spot": 10_000})
    moves = [capacity.Move(("spot",), ("on-demand",), 1, "short")]
    sent = report.with_events(FLEET, before, after, moves).outbox
    assert len({event["kind"] for event in sent}) == 4
    for event in sent:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{event['kind']}` |"))
        own = event["detail"].keys() - {"fleet", "time", "target"}
        assert {name for name in own if f"`{name}`" in row} == own
    assert f"source `{report.SOURCE}`" in PAGE


def test_metrics_are_in_the_table():
    seen = fleet_seen.Seen({pool.name: fleet_seen.Group(1, 0, 8) for pool in POOLS}, {})
    state = fleet_state.State(desired={"spot": 1, "on-demand": 0})
    names = {neuron_metrics.METRIC, neuron_metrics.MEMORY_METRIC, neuron_metrics.ERRORS_METRIC}
    for document in report.metrics(FLEET, state, seen, 0):
        names |= {metric["Name"] for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    table = PAGE.partition("| metric | dimensions |")[2].partition("\n\n")[0]
    assert {name for name in names if f"`{name}`" in table} == names
    assert f"`{report.NAMESPACE}`" in PAGE


def test_reasons_to_move_are_those_of_the_code():
    source = (ROOT / "lambda" / "neuron_hooks" / "fleet" / "capacity.py").read_text()
    reasons = re.findall(r"``(\w+)``", source.partition("``reason``:")[2].partition("\n")[0])
    assert reasons
    row = next(line for line in PAGE.splitlines() if line.startswith("| `Fleet Capacity Moved` |"))
    assert all(f"`{reason}`" in row for reason in reasons)


@pytest.mark.parametrize("folder", ["drain.d", "rebalance.d"])
def test_a_folder_is_where_the_page_says(folder):
    assert f"`/opt/neuron-cdk/{folder}`" in PAGE
    drain = (ROOT / "infra" / "neuron_cdk" / "fleet" / "boot" / "drain.py").read_text()
    assert 'HOOKS = Path("/opt/neuron-cdk")' in drain
    assert f'run_all("{folder}")' in drain
