"""Whether a release is to be, and of what. Pure: the machine's input and the target's record come in.

Input of the release machine::

    {"target": "endpoint/embed", "trigger": "deploy" | "artifact" | "person" | "rollback" | "delete" | "repair",
     "model": "minilm", "artifact_key": "…", "artifact_uri": "…",   # the artifact; a person may leave out all three
     "declaration": "{…}",                                          # deploy and delete: the target's blueprint
     "to": "…",                                                     # rollback: a release's id or an artifact key
     "by": "arn of who asked", "asked_at": seconds, "died": "execution", "reason": "…",
     "request": CloudFormation's request, "deadline": seconds}      # deploy and delete
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .kind import Release, ReleaseError, Stage
from .record import Past, Record, release_id

_KEY = re.compile(r"[0-9a-f]{64}")
_ASKED = ("artifact", "person")  # a deploy and a roll-back are a person's decision already

Input = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing is to be released, and why."""

    reason: str


def wanted(record: Record, asked: Input, execution: str, *, approval: bool) -> Release | Unchanged:
    """The release that an execution is to make; its ``artifact_uri`` is empty where the registry has to say it.

    :param approval: whether a person is asked for model-only releases.
    :raises ReleaseError: what is asked for cannot be.
    """
    trigger = asked["trigger"]
    plain = Release(
        id=release_id(execution),
        target=record.target,
        trigger=trigger,
        model=asked.get("model") or (record.current.model if record.current else ""),
        artifact_key=asked.get("artifact_key") or "",
        artifact_uri=asked.get("artifact_uri") or "",
        declaration=asked.get("declaration") or record.declaration,
        execution=execution,
        asked_at=int(asked.get("asked_at") or 0),
        by=asked.get("by") or "",
        declared_key=asked.get("artifact_key") or "",
    )
    if trigger == "delete":
        return replace(plain, stage="remove")
    if trigger == "deploy":
        return _deployed(record, plain)
    if record.current is None:
        raise ReleaseError(f"{record.target} is not deployed yet: deploy its stack first")
    if trigger == "rollback":
        plain = _back(record, plain, asked.get("to") or "")
    elif not plain.artifact_key:
        raise ReleaseError("no artifact is named")
    if plain.artifact_key == record.current.artifact_key:
        return Unchanged(f"artifact {plain.artifact_key} is what {record.target} serves")
    if trigger == "artifact" and (reason := _late(record, plain)):
        return Unchanged(reason)
    stage: Stage = "approval" if approval and trigger in _ASKED else "apply"
    return replace(plain, stage=stage)


def is_settled(record: Record, asked: Input) -> bool:
    """Whether a deploy asks for what is recorded while another is being taken back: CloudFormation's own way back.

    It need not wait for that: what is taken back comes to what it asks for, or tells so itself.
    """
    return (
        asked["trigger"] == "deploy"
        and record.current is not None
        and record.pending is not None
        and record.pending.stage == "back"
        and _is_declared(record, asked.get("artifact_key") or "", asked.get("declaration") or "")
    )


def _is_declared(record: Record, key: str, declaration: str) -> bool:
    return record.declared_key == key and record.declaration == declaration


def _deployed(record: Record, plain: Release) -> Release | Unchanged:
    """A deploy that asks for the artifact it asked for before keeps what others released since."""
    current = record.current
    if current is None or record.declared_key != plain.artifact_key:
        return plain
    if record.declaration == plain.declaration:
        return Unchanged("the deployment declares what it declared before")
    return replace(plain, model=current.model, artifact_key=current.artifact_key, artifact_uri=current.artifact_uri)


def _back(record: Record, plain: Release, to: str) -> Release:
    """The artifact of a release, one by its key, or the last that was released and is not served now."""
    assert record.current is not None
    served = [one for one in record.history if one.outcome == "released"]
    if _KEY.fullmatch(to):
        return replace(plain, artifact_key=to)
    if to:
        found = next((one for one in served if one.id == to), None)
        if found is None:
            known = ", ".join(one.id for one in served) or "none"
            raise ReleaseError(f"{record.target} has no release {to} to go back to; released were: {known}")
    else:
        others = [one for one in served if one.artifact_key != record.current.artifact_key]
        found = others[0] if others else None
        if found is None:
            raise ReleaseError(f"{record.target} has served no other artifact that it could go back to")
    return replace(plain, model=found.model or plain.model, artifact_key=found.artifact_key)


def _late(record: Record, release: Release) -> str:
    """Why an artifact's own arrival is no reason to release it."""
    assert record.current is not None
    if record.current.asked_at > release.asked_at > 0:
        return f"release {record.current.id} was asked for later"
    last = _last_try(record, release.artifact_key)
    if last is not None and last.outcome in ("rolled back", "rejected"):
        return f"release {last.id} of this artifact was {last.outcome}: release it by hand to try again"
    return ""


def _last_try(record: Record, key: str) -> Past | None:
    return next((one for one in record.history if one.artifact_key == key), None)
