"""What is asked of a controller: sizes, by people and schedules, and a stack's requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..cloudformation import Request
from . import instance_refresh
from . import state as fleet_state
from .instance_refresh import InstanceRefresh
from .scaling_rules import bounded
from .seen import Seen
from .settings import Fleet
from .state import Renewal, State


class FleetRequestError(Exception):
    """The fleet cannot do what is asked; the message says what it could."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The state after a request. ``at_once``: CloudFormation is answered now, else a later run does it."""

    state: State
    at_once: bool = True


def sized(fleet: Fleet, state: State, event: Mapping[str, Any]) -> State:
    """The state after ``{"action": "target", "target": n}`` or ``{"action": "limits", "min": a, "max": b}``.

    :raises FleetRequestError: when the sizes are none, or not within the limits; when the group scales itself.
    """
    if not fleet.owns_size:
        raise FleetRequestError(f"{fleet.name}: its Auto Scaling group scales itself; set its sizes there")
    if event["action"] == "target":
        target = _count(event, "target")
        if not state.least <= target <= state.most:
            raise FleetRequestError(
                f"{fleet.name}: a target of {target} is not within {state.least} to {state.most}, the limits in force"
            )
        return replace(state, target=target)
    if event["action"] == "limits":
        least, most = _count(event, "min"), _count(event, "max")
        if not least <= most <= fleet.max:
            raise FleetRequestError(
                f"{fleet.name}: limits of {least} to {most} are not an interval within 0 to {fleet.max}, the file's max"
            )
        return replace(state, limits=(least, most), target=bounded(state.target, least, most))
    raise FleetRequestError(f"{fleet.name}: the action is {event['action']!r}; there are show, target and limits")


def _count(event: Mapping[str, Any], name: str) -> int:
    value = event.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FleetRequestError(f"{name} must be a whole number from 0, not {value!r}")
    return value


def created(fleet: Fleet, state: State | None, seen: Seen, request: Request, now: int) -> Answered:
    """A stack makes its fleet: what an older stack of the name left is forgotten. Asked twice, it is done once."""
    if state is not None and state.stack == request.stack_id and not state.ended:
        return Answered(state)
    return Answered(fleet_state.fresh(fleet, seen, now, request.stack_id))


def deleted(state: State | None, request: Request) -> State:
    """The stack takes its fleet away: the controller never acts again. A stack of the same name may have taken over."""
    if state is not None and state.stack not in ("", request.stack_id):
        return state
    return replace(state or State(), stack=request.stack_id, ended=True, renewal=None, outbox=())


def updated(
    fleet: Fleet,
    state: State,
    seen: Seen,
    request: Request,
    versions: tuple[str, str],
    newest: Mapping[str, InstanceRefresh | None],
    now: int,
) -> Answered:
    """A stack changes its fleet: another version than before is brought to every group that has instances.

    :param versions: the old and the new.
    :param newest: the newest instance refresh of each group.
    """
    old, new = versions
    before = {
        pool.group: one.id if (one := newest.get(pool.group)) else ""
        for pool in fleet.pools
        if seen.groups[pool.name].instances
    }
    state = replace(state, stack=request.stack_id)
    if state.renewal is not None and state.renewal.request["RequestId"] == request.request_id:
        return Answered(state, at_once=False)
    if fleet.refresh is None or old == new or not before:
        return Answered(replace(state, renewal=None))
    deadline = max(now, state.now) + instance_refresh.DEADLINE_S
    return Answered(replace(state, renewal=Renewal(request.to_json(), new, deadline, before)), at_once=False)
