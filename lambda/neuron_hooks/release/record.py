"""What the registry holds of a target: what it serves, what it served, and who works on it. Pure.

The item's key is ``release#<kind>/<name>``. ``document`` is the record as JSON; ``version`` goes up by one with every
write, which fails when another came between; ``lease_owner`` and ``lease_expires`` say which execution may write.
``approval_token`` is the task token of a release that waits for a person: whoever has it may let the release go on, so
it lies here, under the registry's key, and nowhere else.

Every change of a record is a function from one to the next, so that a step that is called again sees how far it came.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .kind import Outcome, Release, Released, Stage

_MOST_HISTORY = 50
_MOST_REASON = 1500  # of what history keeps of a reason
LEASE_SECONDS = 3600
"""How long a lease lasts beyond the last look; a dead execution's goes back by a rule, long before."""
APPROVAL_SECONDS = 24 * 3600

Item = Mapping[str, Mapping[str, Any]]
Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """A release that has ended. ``by`` is who asked for it: its trigger, or a person."""

    id: str
    artifact_key: str
    at: int
    outcome: Outcome
    reason: str
    by: str
    model: str = ""
    execution: str = ""
    asked_at: int = 0
    declaration_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """
    :param declaration: of the last deploy that was promoted; what others release stands under it.
    :param declared_key: the artifact that deploy asked for.
    :param history: newest first.
    :param version: 0 where there is no item.
    """

    target: str
    declaration: str = ""
    declared_key: str = ""
    current: Released | None = None
    previous: Released | None = None
    pending: Release | None = None
    history: tuple[Past, ...] = ()
    version: int = 0
    lease_owner: str = ""
    lease_expires: int = 0
    approval_token: str = ""

    def is_free(self, execution: str, now: int) -> bool:
        """Whether this execution may take the lease, or has it."""
        return self.lease_owner in ("", execution) or self.lease_expires < now

    def mine(self, execution: str) -> Release | None:
        """The release this execution works on."""
        return self.pending if self.lease_owner == execution else None

    def past(self, id: str) -> Past | None:
        """How a release ended, None when it did not."""
        return next((one for one in self.history if one.id == id), None)


def release_id(execution: str) -> str:
    """The id of an execution's release: part of names, so short."""
    return hashlib.sha256(execution.encode()).hexdigest()[:8]


# -- Changes ---------------------------------------------------------------------------------------------------------


def begun(record: Record, release: Release, now: int) -> Record:
    """The lease taken, the release under way. What a dead execution left is no longer looked at."""
    return _leased(replace(record, pending=release, lease_owner=release.execution, approval_token=""), now)


def at_stage(record: Record, release: Release, stage: Stage, now: int, **changes: Any) -> Record:
    """The release one step further, its lease as long as that step may take."""
    more: Mapping[str, Any] = {"looks": 0, **changes}
    return _leased(replace(record, pending=replace(release, stage=stage, **more), approval_token=""), now)


def asking(record: Record, token: str, now: int) -> Record:
    """A person is asked."""
    return _leased(replace(record, approval_token=token), now)


def looked(record: Record, release: Release, now: int) -> Record:
    """The target was looked at, and moves."""
    return _leased(replace(record, pending=replace(release, looks=release.looks + 1)), now)


def promoted(record: Record, release: Release, now: int) -> Record:
    """The release is what the target serves; tidying up is left to do."""
    served = Released(
        release.id,
        release.model,
        release.artifact_key,
        release.artifact_uri,
        release.declaration,
        release.facts,
        now,
        release.asked_at,
    )
    if release.trigger == "deploy":
        record = replace(record, declaration=release.declaration, declared_key=release.declared_key)
    record = replace(record, current=served, previous=record.current)
    return ended(record, release, "released", "", now)


def ended(record: Record, release: Release, outcome: Outcome, reason: str, now: int) -> Record:
    """The release stands in the history; what the target serves is unchanged."""
    past = Past(
        id=release.id,
        artifact_key=release.artifact_key,
        at=now,
        outcome=outcome,
        reason=reason[-_MOST_REASON:],
        by=release.by or release.trigger,
        model=release.model,
        execution=release.execution,
        asked_at=release.asked_at,
        declaration_sha256=hashlib.sha256(release.declaration.encode()).hexdigest(),
    )
    history = (past, *(one for one in record.history if one.id != release.id))[:_MOST_HISTORY]
    return at_stage(replace(record, history=history), release, "finish", now, outcome=outcome, reason=reason)


def freed(record: Record) -> Record:
    """Nobody works on the target."""
    return replace(record, pending=None, lease_owner="", lease_expires=0, approval_token="")


def adopted(record: Record, execution: str, reason: str, now: int) -> Record:
    """Another execution takes over what a dead one was at, to take it back; what had ended, or was a removal, it ends.

    :param record: has a pending release.
    """
    release = record.pending
    assert release is not None
    taken = replace(release, execution=execution)
    if release.stage not in ("remove", "finish"):
        taken = replace(taken, stage="back", reason=reason)
    return begun(record, taken, now)


def _leased(record: Record, now: int) -> Record:
    waits = record.pending is not None and record.pending.stage == "approval"
    return replace(record, lease_expires=now + LEASE_SECONDS + (APPROVAL_SECONDS if waits else 0))


# -- Items -----------------------------------------------------------------------------------------------------------


def _key(target: str) -> dict[str, Any]:
    return {"artifact_key": {"S": f"release#{target}"}}


def get(table: str, target: str) -> Request:
    """A GetItem request; always consistent, since a decision follows."""
    return {"TableName": table, "Key": _key(target), "ConsistentRead": True}


def write(table: str, record: Record) -> Request:
    """An UpdateItem request that replaces a record as it was read; its condition fails when somebody else wrote."""
    names = {
        "document": {"S": document(record)},
        "version": {"N": str(record.version + 1)},
        "lease_owner": {"S": record.lease_owner} if record.lease_owner else None,
        "lease_expires": {"N": str(record.lease_expires)} if record.lease_owner else None,
        "approval_token": {"S": record.approval_token} if record.approval_token else None,
    }
    given = {name: value for name, value in names.items() if value is not None}
    gone = [name for name, value in names.items() if value is None]
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
    if gone:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in gone)
    values = {f":{name}": value for name, value in given.items()}
    condition = "attribute_not_exists(#version)"
    if record.version:
        condition, values[":read"] = "#version = :read", {"N": str(record.version)}
    return {
        "TableName": table,
        "Key": _key(record.target),
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ExpressionAttributeValues": values,
    }


def delete(table: str, target: str) -> Request:
    """A DeleteItem request."""
    return {"TableName": table, "Key": _key(target)}


def document(record: Record) -> str:
    """The record as its item's ``document``."""
    kept = {
        "target": record.target,
        "declaration": record.declaration,
        "declared_key": record.declared_key,
        "current": asdict(record.current) if record.current else None,
        "previous": asdict(record.previous) if record.previous else None,
        "pending": asdict(record.pending) if record.pending else None,
        "history": [asdict(one) for one in record.history],
    }
    return json.dumps(kept, sort_keys=True)


def read(item: Item | None, target: str) -> Record:
    """The record in an item as GetItem gives it; an empty one of version 0 where there is none."""
    if not item:
        return Record(target)
    kept = json.loads(item["document"]["S"])
    return Record(
        target=target,
        declaration=kept["declaration"],
        declared_key=kept["declared_key"],
        current=Released(**kept["current"]) if kept["current"] else None,
        previous=Released(**kept["previous"]) if kept["previous"] else None,
        pending=Release(**kept["pending"]) if kept["pending"] else None,
        history=tuple(Past(**one) for one in kept["history"]),
        version=int(item["version"]["N"]),
        lease_owner=item.get("lease_owner", {}).get("S", ""),
        lease_expires=int(item.get("lease_expires", {}).get("N", "0")),
        approval_token=item.get("approval_token", {}).get("S", ""),
    )
