"""``neuron-cdk models gc``: remove what nobody uses now, instead of tomorrow."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from .aws import STATE, State
from .deployed import Chosen, Json, ask, choose, invoke, load, output, show_table
from .failure import in_words

_LONGEST_SECONDS = 910  # the function has 900
_MEANS = {
    "retire": "not found any more, deleted in an hour",
    "restore": "found again",
    "changed": "left alone: it changed meanwhile",
    "failed": "not deleted; the problem is below",
    "later": "left for the next run",
}
"""What a verdict, which is the same word in the table and for tools, comes to where ``why`` does not say it."""


def gc(
    file: Chosen = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Remove artifacts that nobody has used for 30 days and uploads that came to nothing; it runs once a day anyway."""
    with in_words(as_json=as_json):
        answer = _keep_house(file, state, dry_run, as_json)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        _show(answer)
    if answer["problems"]:
        raise typer.Exit(1)


def _keep_house(file: Path | None, state: Path, dry_run: bool, as_json: bool) -> dict[str, Any]:
    """The function's answers, as often as it has more to do; the last word on each artifact and upload counts."""
    chosen = choose(file)
    deployment = load(chosen, as_json)
    aws = ask(chosen, deployment, state)
    function = output(aws, deployment.name, "Pipeline", "Housekeeping")
    artifacts, uploads = dict[str, Any](), dict[str, Any]()
    while True:
        answer = invoke(aws, function, {"dry_run": dry_run}, read_timeout=_LONGEST_SECONDS)
        artifacts |= {one["key"]: one for one in answer["artifacts"]}
        uploads |= {one["prefix"]: one for one in answer["uploads"]}
        if not answer["more"]:
            return {**answer, "artifacts": list(artifacts.values()), "uploads": list(uploads.values())}


def _show(answer: dict[str, Any]) -> None:
    rows = [("key", "model", "last used (UTC)", "size", "verdict", "why")]
    for one in sorted(answer["artifacts"], key=lambda one: (one["verdict"] == "keep", -one["last_used"])):
        why = _why(one["verdict"], one["why"])
        rows.append((one["key"][:12], one["model"], _day(one["last_used"]), _size(one["size"]), one["verdict"], why))
    for one in answer["uploads"]:
        kind, key, attempt = one["prefix"].split("/")[:3]
        why = _why(one["verdict"], f"{kind} of attempt {attempt} came to nothing")
        rows.append((key[:12], "-", "-", _size(one["size"]), one["verdict"], why))
    if len(rows) == 1:
        typer.echo("nothing is there")
    else:
        show_table(rows)
    if answer["dry_run"]:
        typer.echo("a dry run: this is what would be done, and nothing was changed")
    for key in answer["stuck"]:
        typer.echo(
            f"stuck: the lease of {key[:12]} ran out over an hour ago; whoever asks next takes it over", err=True
        )
    for problem in answer["problems"]:
        typer.echo(f"neuron-cdk: {problem}", err=True)


def _why(verdict: str, why: str) -> str:
    return f"{why}: {_MEANS[verdict]}" if verdict in _MEANS else why


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else "-"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
