"""What a controller learns from events and from its groups' launches. Pure.

Facts are times: when a pool was last found short, when an instance was last said to be doomed. They merge by the
latest, so an event that comes twice, late or out of order leaves the state it would have left anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .launch_failures import Why, why
from .seen import Group, Launch, Seen
from .settings import Fleet
from .state import Shortage, State

# EC2 User Guide, "Monitor Capacity Blocks using EventBridge": the warning comes 40 minutes before the end.
_WARNED_BEFORE_END_S = 40 * 60
# EC2 takes an instance two minutes after its warning; what still stands after ten was not taken.
_DOOMED_FOR_S = 10 * 60
# Instances that start, are not found ready and are ended: this many in a row are no accident.
_ABANDONED_IN_A_ROW = 3

LAUNCH_UNSUCCESSFUL = "EC2 Instance Launch Unsuccessful"
INTERRUPTION = "EC2 Spot Instance Interruption Warning"
# EC2's guide calls the event by both names.
BLOCK_ENDS = ("Capacity Block Reservation Expiration Warning", "Capacity Block Expiration Warning")


def time_of(event: Mapping[str, Any]) -> int | None:
    """When an EventBridge event happened, ``None`` for anything else."""
    time = event.get("time")
    return int(datetime.fromisoformat(str(time).replace("Z", "+00:00")).timestamp()) if time else None


def learn(fleet: Fleet, state: State, seen: Seen, event: Mapping[str, Any], now: int) -> State:
    """The state with what an event and the groups' launches say; its time is the later of its own and ``now``."""
    state = replace(state, now=max(state.now, now))
    for pool in fleet.pools:
        state = _launches(fleet, state, pool.name, seen.groups[pool.name].launches)
    return _forget(_told(fleet, state, seen, event), seen)


def _launches(fleet: Fleet, state: State, pool: str, launches: Iterable[Launch]) -> State:
    launches = sorted(launches, key=lambda launch: launch.at)
    for launch in launches:
        if launch.status == "Failed":
            state = _failed(fleet, state, pool, why(launch.message), launch.at)
    abandoned = _abandoned_since_success(launches)
    if len(abandoned) >= _ABANDONED_IN_A_ROW:
        state = replace(state, failing=_latest(state.failing, pool, abandoned[-1]))
    return state


def _abandoned_since_success(launches: list[Launch]) -> list[int]:
    """When instances were ended by their launch hook since one last came into service."""
    times: list[int] = []
    for launch in launches:
        if launch.status == "Successful":
            times = []
        elif why(launch.message) is Why.ABANDONED:
            times.append(launch.at)
    return times


def _told(fleet: Fleet, state: State, seen: Seen, event: Mapping[str, Any]) -> State:
    """What an EventBridge event says, if it is about this fleet."""
    at, kind, detail = time_of(event), event.get("detail-type"), event.get("detail", {})
    if at is None:
        return state
    if kind == LAUNCH_UNSUCCESSFUL:
        pool = fleet.pool_of_group(detail["AutoScalingGroupName"])
        return _failed(fleet, state, pool.name, why(detail.get("StatusMessage", "")), at) if pool else state
    if kind == INTERRUPTION:
        return _interrupted(state, seen, detail["instance-id"], at)
    if kind in BLOCK_ENDS:
        reservation = detail["capacity-reservation-id"]
        if any(reservation in pool.reservations for pool in fleet.pools):
            end = at + _WARNED_BEFORE_END_S
            return replace(state, block_ends=_latest(state.block_ends, reservation, end))
    return state


def _failed(fleet: Fleet, state: State, pool: str, reason: Why, at: int) -> State:
    """A launch failed; one instance that was not found ready is no news yet."""
    if reason is Why.SHORT:
        shortage = _merged(state.short.get(pool), at, fleet.return_after_s)
        return replace(state, short={**state.short, pool: shortage})
    if reason is Why.MISTAKE:
        return replace(state, failing=_latest(state.failing, pool, at))
    return state


def _merged(known: Shortage | None, at: int, pause: int) -> Shortage:
    """A shortage lasts while its failures are less than a pause apart; a later one is another shortage."""
    if known is None or at >= known.at + pause:
        return Shortage(at, at)
    if at <= known.since - pause:
        return known
    return Shortage(min(known.since, at), max(known.at, at))


def _interrupted(state: State, seen: Seen, instance: str, at: int) -> State:
    """EC2 takes a spot instance: its pool is losing capacity. Other people's instances are none of ours."""
    for pool, group in seen.groups.items():
        if _has(group, instance):
            return replace(
                state,
                interrupted=_latest(state.interrupted, pool, at),
                doomed=_latest(state.doomed, instance, at),
            )
    return state


def _has(group: Group, instance: str) -> bool:
    return any(one.id == instance for one in group.instances)


def _latest(times: Mapping[str, int], name: str, at: int) -> dict[str, int]:
    return {**times, name: max(at, times.get(name, at))}


def _forget(state: State, seen: Seen) -> State:
    doomed = {
        instance: at
        for instance, at in state.doomed.items()
        if state.now < at + _DOOMED_FOR_S and any(_has(group, instance) for group in seen.groups.values())
    }
    return replace(state, doomed=doomed)
