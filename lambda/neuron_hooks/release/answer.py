"""Who learns of a release: CloudFormation, where it asked, and everybody else by events.

The answer's attributes: ``ArtifactKey`` (what the target serves now, which a later release may have chosen),
``Release`` (its id), and whatever the kind's facts hold as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import cloudformation, model_events
from .kind import Release
from .record import Record

_MOST_CHARACTERS = 900  # of a reason: with its summary under 1 KB, which the console shows whole


def started(release: Release) -> None:
    """Tell that a release has its target, unless it is a removal."""
    if release.stage != "remove":
        _tell("release started", release)


def asked(release: Release) -> None:
    """Tell that a person is to decide. Never the token: whoever has it could."""
    _tell("awaiting approval", release)


def ended(release: Release, record: Record) -> None:
    """Tell how a release ended."""
    before = record.current.artifact_key if record.current else ""
    if release.outcome == "released":
        before = record.previous.artifact_key if record.previous else ""
        _tell("released", release, previous_key=before)
    else:
        _tell("rolled back", release, previous_key=before, reason=release.reason or release.outcome)


def _tell(name: model_events.Name, release: Release, **facts: Any) -> None:
    model_events.tell(
        name,
        key=release.artifact_key,
        execution=release.execution,
        model=release.model,
        release=release.id,
        release_target=release.target,
        trigger=release.trigger,
        by=release.by,
        artifact_uri=release.artifact_uri,
        **facts,
    )


def deliver(request: Mapping[str, Any], record: Record, outcome: str, reason: str) -> None:
    """Answer CloudFormation.

    :param outcome: a release's, or ``unchanged``, ``refused``, ``deleted``, ``lost``.
    """
    wanted = cloudformation.parse(request)
    if outcome in ("released", "unchanged", "deleted"):
        cloudformation.deliver(wanted, cloudformation.success(wanted, record.target, _attributes(record)))
        return
    again = f"Nothing is left of it: {record.target} is not there" if record.current is None else _serves(record)
    summary = f"The release to {record.target} was {outcome}. {again}. The reason:"
    if outcome == "failed":
        summary = f"The release to {record.target} failed:"
    cloudformation.deliver(
        wanted, cloudformation.failure(wanted, record.target, summary, detail=reason[-_MOST_CHARACTERS:])
    )


def late(request: Mapping[str, Any], release: Release | None, target: str) -> None:
    """Answer before CloudFormation stops waiting."""
    wanted = cloudformation.parse(request)
    doing = f"is still at the step {release.stage}" if release else "still waits for another one to end"
    summary = f"The release to {target} {doing}, after 55 of the 60 minutes that CloudFormation waits."
    detail = release.reason if release else ""
    cloudformation.deliver(wanted, cloudformation.failure(wanted, target, summary, detail=detail))


def _serves(record: Record) -> str:
    assert record.current is not None
    return f"It serves artifact {record.current.artifact_key} (release {record.current.id})"


def _attributes(record: Record) -> dict[str, str]:
    if record.current is None:
        return {}
    facts = {name: value for name, value in record.current.facts.items() if isinstance(value, str)}
    return {**facts, "ArtifactKey": record.current.artifact_key, "Release": record.current.id}
