"""What a controller tells the world: events for EventBridge, metrics in CloudWatch's embedded format. Pure.

Events have the source ``neuron-cdk.fleet``; their detail always has ``fleet``, ``time`` (seconds) and ``target``:

- ``Fleet Capacity Moved``: ``from`` and ``to`` (pools), ``count``, ``reason`` (short, interrupted, closing, return);
- ``Fleet Capacity Unavailable``: ``unplaced``, and ``pools`` that are short;
- ``Fleet Resized``: ``previous``;
- ``Fleet Launch Failing``: ``pool``; its launches fail by mistake, and nothing is moved for it.

Source of the metrics' form: CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .capacity import Move
from .seen import Seen
from .settings import Fleet
from .state import State

SOURCE = "neuron-cdk.fleet"
NAMESPACE = "NeuronCdk/Fleet"
_MOST_UNSENT = 50

Event = dict[str, Any]


def with_events(fleet: Fleet, before: State, after: State, moves: Sequence[Move]) -> State:
    """The state with what became of it in its outbox.

    :param before: as it was read, before anything was learned or decided.
    """
    failing = dict.fromkeys(_newly_failing(fleet, after), after.now)
    events = (
        *_resized(fleet, before, after),
        *(_event(fleet, after, "Fleet Capacity Moved", _moved(move)) for move in moves),
        *_unavailable(fleet, before, after),
        *(_event(fleet, after, "Fleet Launch Failing", {"pool": pool}) for pool in failing),
    )
    # What cannot be sent for a long time must not outgrow the item.
    return replace(after, outbox=(*after.outbox, *events)[-_MOST_UNSENT:], reported={**after.reported, **failing})


def metrics(fleet: Fleet, state: State, seen: Seen, moves: int) -> list[dict[str, Any]]:
    """One document a pool and one for the fleet, each to be printed as a line."""
    serving = {name: sum(one.serving for one in group.instances) for name, group in seen.groups.items()}
    pools = [
        _metrics(
            state,
            {"Fleet": fleet.name, "Pool": pool.name},
            {"Desired": state.desired[pool.name], "InService": serving[pool.name]},
        )
        for pool in fleet.pools
    ]
    sums = {"Moves": moves, "Unplaced": state.unplaced, "Target": state.target}
    return [*pools, _metrics(state, {"Fleet": fleet.name}, sums)]


def _event(fleet: Fleet, state: State, kind: str, detail: Mapping[str, Any]) -> Event:
    common = {"fleet": fleet.name, "time": state.now, "target": state.target}
    return {"kind": kind, "detail": {**common, **detail}}


def _moved(move: Move) -> dict[str, Any]:
    return {"from": list(move.origins), "to": list(move.destinations), "count": move.count, "reason": move.reason}


def _resized(fleet: Fleet, before: State, after: State) -> Iterator[Event]:
    if after.target != before.target:
        yield _event(fleet, after, "Fleet Resized", {"previous": before.target})


def _unavailable(fleet: Fleet, before: State, after: State) -> Iterator[Event]:
    """Told when it begins; the metric tells how long it lasts."""
    if after.unplaced and not before.unplaced:
        short = [
            pool.name
            for pool in fleet.pools
            if pool.name in after.short and after.now < after.short[pool.name].at + fleet.return_after_s
        ]
        yield _event(fleet, after, "Fleet Capacity Unavailable", {"unplaced": after.unplaced, "pools": short})


def _newly_failing(fleet: Fleet, state: State) -> list[str]:
    """Pools that fail now and were not told of within a pause."""
    pause = fleet.return_after_s
    return [
        pool.name
        for pool in fleet.pools
        if (at := state.failing.get(pool.name)) is not None
        and state.now < at + pause
        and state.now >= state.reported.get(pool.name, -pause) + pause
    ]


def _metrics(state: State, dimensions: Mapping[str, str], values: Mapping[str, int]) -> dict[str, Any]:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in values],
    }
    return {"_aws": {"Timestamp": state.now * 1000, "CloudWatchMetrics": [directive]}, **dimensions, **values}
