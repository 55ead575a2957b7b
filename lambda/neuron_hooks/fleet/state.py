"""What a fleet's controller remembers, and how it is kept: one item of the registry table a fleet. Pure.

The item's key is ``fleet#<name>``; ``document`` is the state as JSON, ``version`` counts its writes. A write names the
version it was made from, so of two writers one loses, reads again and decides again.

Times are seconds since the epoch and never go back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .scaling_rules import Cooldown, bounded
from .seen import Seen
from .settings import Fleet


@dataclass(frozen=True, slots=True)
class Shortage:
    """A pool was found short first at ``since`` and last at ``at``."""

    since: int
    at: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """An instance refresh that CloudFormation waits for.

    :param request: its request, as ``cloudformation.Request.to_json`` gives it.
    :param before: the newest refresh of each group when the request came, "" for none: another one is this renewal's.
    """

    request: Mapping[str, str]
    version: str
    deadline: int
    before: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """
    :param stack: the id of the CloudFormation stack the fleet belongs to.
    :param ended: the stack deletes the fleet: nothing is done any more.
    :param now: the latest time seen.
    :param file_limits: the deployment file's least and most instances; ``limits`` a schedule's, in force instead.
    :param target: how many instances the fleet should have.
    :param desired: what each pool was last asked for.
    :param short: pools without capacity; ``interrupted``: pools that lost an instance to a spot interruption, and when.
    :param doomed: instances that EC2 said it will take, and when it said so.
    :param failing: pools whose launches fail for another reason than capacity, and when one did last.
    :param block_ends: when a reservation ends, from EC2's warning.
    :param moved_at: when instances last moved from pool to pool; ``returning``: a move to better pools is under way.
    :param before_return: what the pools were asked for before a return that is not over; empty when there is none.
    :param unplaced: how many of the target no pool could take.
    :param reported: when a failing pool was last told of.
    :param outbox: events that are decided and perhaps not sent.
    """

    stack: str = ""
    ended: bool = False
    now: int = 0
    file_limits: tuple[int, int] = (0, 0)
    limits: tuple[int, int] | None = None
    target: int = 0
    desired: Mapping[str, int] = field(default_factory=dict)
    short: Mapping[str, Shortage] = field(default_factory=dict)
    interrupted: Mapping[str, int] = field(default_factory=dict)
    doomed: Mapping[str, int] = field(default_factory=dict)
    failing: Mapping[str, int] = field(default_factory=dict)
    block_ends: Mapping[str, int] = field(default_factory=dict)
    moved_at: int = 0
    returning: bool = False
    before_return: Mapping[str, int] = field(default_factory=dict)
    unplaced: int = 0
    reported: Mapping[str, int] = field(default_factory=dict)
    cooldown: Cooldown = field(default_factory=Cooldown)
    renewal: Renewal | None = None
    outbox: tuple[Mapping[str, Any], ...] = ()

    @property
    def least(self) -> int:
        """The fewest instances the target may ask for now."""
        return (self.limits or self.file_limits)[0]

    @property
    def most(self) -> int:
        """The most instances the target may ask for now."""
        return (self.limits or self.file_limits)[1]


def fresh(fleet: Fleet, seen: Seen, now: int, stack: str = "") -> State:
    """The state of a fleet that nobody has looked after: what runs is taken over, nothing is forgotten about it."""
    desired = {pool.name: seen.groups[pool.name].desired for pool in fleet.pools}
    return State(
        stack=stack,
        now=now,
        file_limits=(fleet.min, fleet.max),
        target=bounded(max(fleet.start, sum(desired.values())), fleet.min, fleet.max),
        desired=desired,
    )


def fitted(state: State, fleet: Fleet) -> State:
    """The state for the fleet as it is now: a deployment may have changed its limits and its pools.

    A schedule's limits hold until its next action, or until a deployment changes the file's.
    """
    file_limits = (fleet.min, fleet.max)
    state = replace(
        state,
        file_limits=file_limits,
        limits=state.limits if state.file_limits == file_limits else None,
        desired={pool.name: state.desired.get(pool.name, 0) for pool in fleet.pools},
    )
    return replace(state, target=bounded(state.target, state.least, state.most))


# -- The item --------------------------------------------------------------------------------------------------------


def key(fleet: str) -> str:
    """The item's key in the registry table."""
    return f"fleet#{fleet}"


def get(table: str, fleet: str) -> dict[str, Any]:
    """A GetItem request; always consistent, since a decision follows."""
    return {"TableName": table, "Key": {"artifact_key": {"S": key(fleet)}}, "ConsistentRead": True}


def put(table: str, fleet: str, state: State, version: int) -> dict[str, Any]:
    """An UpdateItem request that writes a state made from ``version``, 0 for none, unless there is a newer one."""
    condition = "#version = :read" if version else "attribute_not_exists(#version)"
    values: dict[str, Any] = {":document": {"S": to_json(state)}, ":version": {"N": str(version + 1)}}
    return {
        "TableName": table,
        "Key": {"artifact_key": {"S": key(fleet)}},
        "UpdateExpression": "SET #document = :document, #version = :version",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#document": "document", "#version": "version"},
        "ExpressionAttributeValues": {**values, ":read": {"N": str(version)}} if version else values,
    }


def read(item: Mapping[str, Any] | None) -> tuple[State | None, int]:
    """The state and its version from an item as GetItem gives it; ``None`` and 0 when there is none."""
    if not item:
        return None, 0
    return from_json(item["document"]["S"]), int(item["version"]["N"])


def to_json(state: State) -> str:
    """The document of an item; the keys are sorted, so equal states are equal texts."""
    document = {**asdict(replace(state, cooldown=Cooldown())), "cooldown": _cooldown(state.cooldown)}
    return json.dumps(document, sort_keys=True)


def from_json(text: str) -> State:
    """The state a document holds. Fields that an older version wrote and this one does not know are dropped."""
    document = json.loads(text)
    known = {name: value for name, value in document.items() if name in State.__dataclass_fields__}
    renewal = known.get("renewal")
    return State(
        **{
            **known,
            "file_limits": tuple(known.get("file_limits", (0, 0))),
            "limits": tuple(known["limits"]) if known.get("limits") else None,
            "short": {name: Shortage(**value) for name, value in known.get("short", {}).items()},
            "cooldown": Cooldown(*known.get("cooldown", ())),
            "renewal": Renewal(**renewal) if renewal else None,
            "outbox": tuple(known.get("outbox", ())),
        }
    )


def _cooldown(cooldown: Cooldown) -> list[int | None]:
    return [cooldown.out_at, cooldown.out_from, cooldown.in_at]
