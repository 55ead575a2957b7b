"""``neuron-cdk models history``, ``release``, ``rollback``, ``approve``: targets of the release pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .aws import STATE, State
from .deployed import Chosen, Json, show_table
from .failure import NotDoneError, WrongInputError, in_words

if TYPE_CHECKING:
    from .live_releases import Asked, Target, Targets

One = Annotated[str, typer.Argument(metavar="TARGET", help="An endpoint or a fleet: embed, or endpoint/embed.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it has ended; 1 when it was not released.")]

_DONE = ("released", "unchanged")
_SHORTEST = 8


def history(target: One, file: Chosen = None, state: State = STATE, as_json: Json = False) -> None:
    """Show what a target serves, and its last 50 releases."""
    from .live_releases import find, moment

    with in_words(as_json=as_json):
        found = find(file, state, as_json)
        record = found.read(found.one(target))
    if as_json:
        typer.echo(json.dumps(record.to_json(), indent=2))
        return
    if record.current:
        key, since = record.current["artifact_key"][:12], moment(record.current["at"])
        typer.echo(f"{record.target}: artifact {key}, since {since} UTC")
    else:
        typer.echo(f"{record.target}: nothing was released yet")
    if record.pending:
        waits = "awaits approval" if record.token else f"is at {record.pending['stage']}"
        typer.echo(f"release {record.pending['id']} of {record.pending['artifact_key'][:12]} {waits}")
    rows = [("release", "artifact", "ended (UTC)", "outcome", "by", "")]
    rows += [
        (
            one["id"],
            one["artifact_key"][:12],
            moment(one["at"]),
            one["outcome"],
            one["by"].rpartition("/")[2],
            " ".join(one["reason"].split())[:100],
        )
        for one in record.history
    ]
    show_table(rows)


def release(
    target: Annotated[str, typer.Argument(metavar="TARGET|MODEL", help="A target, or all targets of a model.")],
    artifact: Annotated[
        str | None, typer.Option(metavar="KEY", help="Or its first digits. Default: the model's newest.")
    ] = None,
    wait: Wait = False,
    file: Chosen = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Release an artifact without a deploy, as a new artifact of the model is by itself."""
    from .live_releases import find

    with in_words(as_json=as_json):
        found = find(file, state, as_json)
        named = found.of(target)
        keys = {model: _artifact(file, state, as_json, model, artifact) for model in {each.model for each in named}}
        asked = [
            (each, found.start(each, {"trigger": "person", "model": each.model, "artifact_key": keys[each.model]}))
            for each in named
        ]
        _end(found, asked, wait=wait, as_json=as_json)


def rollback(
    target: One,
    to: Annotated[
        str | None,
        typer.Option(metavar="RELEASE|KEY", help="Default: the last release of another artifact than now."),
    ] = None,
    wait: Wait = False,
    file: Chosen = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Release an artifact that a target served before. Nobody is asked to approve it."""
    from .live_releases import find

    with in_words(as_json=as_json):
        found = find(file, state, as_json)
        one = found.one(target)
        found.machine(one)  # before the history: of a stack that failed, that says nothing
        goal = _past(found, one, to) if to else ""
        if not goal:
            _check_way_back(found, one)
        asked = found.start(one, {"trigger": "rollback", "to": goal})
        _end(found, [(one, asked)], wait=wait, as_json=as_json)


def approve(
    target: One,
    reject: Annotated[bool, typer.Option("--reject", help="Say no.")] = False,
    reason: Annotated[str, typer.Option(help="Why not; it stands in the history.")] = "",
    file: Chosen = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Let a release go on that awaits approval, or end it."""
    from .live_releases import find

    with in_words(as_json=as_json):
        found = find(file, state, as_json)
        one = found.one(target)
        pending = found.decide(one, approved=not reject, reason=reason)
    decided = "rejected" if reject else "approved"
    if as_json:
        typer.echo(json.dumps({"target": one.name, "release": pending["id"], "decided": decided}))
    else:
        typer.echo(f"{one.name}: release {pending['id']} of {pending['artifact_key'][:12]} {decided}")


def _artifact(file: Path | None, state: Path, as_json: bool, model: str, wanted: str | None) -> str:
    """The key of the artifact that is meant. Raises ``NotDoneError`` and ``WrongInputError``."""
    from .live_models import find

    ready = [one for one in find(file, state, as_json).pick(model).artifacts if one.state == "ready"]
    if wanted is None:
        if not ready:
            raise NotDoneError(f"model {model} has no artifact that is ready: neuron-cdk models show {model} says why")
        return ready[0].key
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},64}}", wanted):
        raise WrongInputError(f"{wanted} is no artifact key: {_SHORTEST} to 64 hexadecimal digits, as models show has")
    return _only([one.key for one in ready if one.key.startswith(wanted)], wanted, f"artifact of model {model}")


def _past(found: Targets, target: Target, wanted: str) -> str:
    """The id or key that is meant, as the history has it; a whole key of any artifact stands for itself."""
    history = found.read(target).history
    ids = [one["id"] for one in history if one["id"] == wanted]
    if ids or re.fullmatch(r"[0-9a-f]{64}", wanted):
        return wanted
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},63}}", wanted):
        raise WrongInputError(f"{wanted} is neither a release nor an artifact key of {target.name}'s history")
    keys = dict.fromkeys(one["artifact_key"] for one in history if one["artifact_key"].startswith(wanted))
    return _only(list(keys), wanted, f"artifact in the history of {target.name}")


def _check_way_back(found: Targets, target: Target) -> None:
    """Raises ``NotDoneError`` when no other artifact was served; a release that is under way may change that."""
    record = found.read(target)
    now = (record.current or {}).get("artifact_key")
    served = [one["artifact_key"] for one in record.history if one["outcome"] == "released"]
    if not record.pending and all(key == now for key in served):
        raise NotDoneError(f"{target.name} has served no other artifact that it could go back to")


def _only(keys: Sequence[str], wanted: str, what: str) -> str:
    if len(keys) == 1:
        return keys[0]
    raise WrongInputError(f"{wanted} is {'more than one' if keys else 'no'} {what}")


def _say(target: str, stage: str) -> None:
    typer.echo(f"{target}: {stage}", err=True)


def _end(found: Targets, asked: Sequence[tuple[Target, Asked]], *, wait: bool, as_json: bool) -> None:
    """Tell what was asked for, and if somebody waits, what became of it."""
    told: list[dict[str, Any]] = []
    for target, one in asked:
        facts: dict[str, Any] = {"target": target.name, "release": one.id, "execution": one.execution_arn}
        if wait:
            facts |= found.follow(target, one, partial(_say, target.name))
        told.append(facts)
        if as_json:
            continue
        if wait:
            because = f": {facts['reason']}" if facts["reason"] else ""
            typer.echo(f"{target.name}: {facts['outcome']}{because}")
        else:
            typer.echo(f"{target.name}: release {one.id} asked for; see neuron-cdk models history {target.name}")
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    if wait and not all(facts["outcome"] in _DONE for facts in told):
        raise typer.Exit(1)
