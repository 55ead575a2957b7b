"""``neuron-cdk models compile``: have models compiled now, and perhaps wait for it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .aws import STATE, State
from .deployed import Chosen, Json, output
from .failure import NotDoneError, in_words

if TYPE_CHECKING:
    from rich.table import Table

    from .compiling import Compile
    from .live_models import Found

Names = Annotated[list[str], typer.Argument(help="Models; several are compiled at once.")]

_LOOK_SECONDS = 2.0


def compile_(
    names: Names,
    file: Chosen = None,
    force: Annotated[bool, typer.Option("--force", help="Try again what failed before and is remembered.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until all have ended; 1 when one failed.")] = False,
    timeout_minutes: Annotated[
        int | None, typer.Option(min=1, help="How long the request waits at most; the compile goes on.")
    ] = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Compile models now, as they were last deployed; what is compiled already is found, not made again. Endpoints and
    fleets with managed_by: pipeline get what is new at once."""
    from .compiling import unasked
    from .live_models import find

    with in_words(as_json=as_json):
        found = find(file, state, as_json)
        begun = _start(found, names, force, timeout_minutes)
        for one in begun:
            one.targets = [target.name for target in found.targets if target.model == one.model]
        if wait:
            _wait(found, begun, quiet=as_json)
            for one in begun:
                one.warnings = unasked(found.aws, found.table, one, found.pick(one.model)) if one.is_ready else []
        if as_json:
            typer.echo(json.dumps([one.to_json() for one in begun], indent=2))
        for one in () if as_json else begun:
            if wait:
                _tell(found, one)
            else:
                typer.echo(f"{one.model}: asked for; see neuron-cdk models show {one.model} -d {found.file}")
                typer.echo(f"  execution {one.execution_arn}")
            _tell_targets(one)
            for warning in one.warnings:
                typer.echo(f"{one.model}: warning: {warning}", err=True)
    if wait and not all(one.is_ready for one in begun):
        raise typer.Exit(1)


def _start(found: Found, names: Sequence[str], force: bool, timeout_minutes: int | None) -> list[Compile]:
    """Every name is known before anything is started."""
    from .compiling import start

    models = [found.pick(name) for name in dict.fromkeys(names)]
    for model in models:
        if model.document is None:
            raise NotDoneError(
                f"model {model.name} was never deployed, so the pipeline does not know it: cdk deploy declares it"
            )
    machine = output(found.aws, found.deployment, "Pipeline", "RequestMachine")
    return [start(found.aws, machine, model, force=force, timeout_minutes=timeout_minutes) for model in models]


def _wait(found: Found, begun: Sequence[Compile], *, quiet: bool) -> None:
    """Until all have ended. Progress is for a person: without a terminal there is none.

    Leaving ends no compile; nor do credentials that expire meanwhile.
    """
    from neuron_cdk.doctor.aws import AskError

    from .compiling import look

    def look_at_all() -> bool:
        for one in begun:
            if one.outcome is None:
                look(found.aws, found.table, one)
        return all(one.outcome is not None for one in begun)

    try:
        if quiet or not sys.stderr.isatty():
            _until(look_at_all)
            return
        from rich.console import Console
        from rich.live import Live

        # Drawn by itself, so that the time goes on between two looks.
        console = Console(stderr=True)
        with Live(get_renderable=lambda: _progress(begun), console=console, transient=True, refresh_per_second=4):
            _until(look_at_all)
    except KeyboardInterrupt:
        going = [one.model for one in begun if one.outcome is None]
        typer.echo(f"neuron-cdk: left; the compile goes on. {_join(found, *going)}", err=True)
        raise typer.Exit(130) from None
    except AskError:
        if not quiet:
            going = [one.model for one in begun if one.outcome is None]
            typer.echo(f"neuron-cdk: the compile goes on. {_join(found, *going)}", err=True)
        raise


def _until(done: Callable[[], bool]) -> None:
    pause = 0.2  # a hit is there at once
    while not done():
        time.sleep(pause)
        pause = min(pause * 1.5, _LOOK_SECONDS)


def _progress(begun: Sequence[Compile]) -> Table:
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    table = Table("", "model", "state", "host", "time", "log", box=None, pad_edge=False)
    for one in begun:
        mark = Spinner("dots") if one.outcome is None else Text("✓" if one.is_ready else "✗")
        table.add_row(mark, one.model, one.state, one.host or "-", one.elapsed, Text(one.line, overflow="ellipsis"))
    return table


def _tell(found: Found, one: Compile) -> None:
    """How it ended: results on stdout, what went wrong on stderr."""
    from .compiling import last_lines, reason

    outcome = one.outcome or {}
    status = outcome.get("status")
    if status == "ready":
        took = float(outcome.get("compile_seconds") or 0)
        how = "found" if outcome.get("cache") == "hit" else f"compiled in {took:.0f} s"
        usd = outcome.get("usd")
        price = f", ${float(usd):.4f}" if outcome.get("cache") != "hit" and usd not in (None, "") else ""
        typer.echo(f"{one.model}: {how}{price}: {one.key}")
        typer.echo(f"  {outcome.get('artifact_uri', '')}")
        return
    if status == "running":
        typer.echo(f"{one.model}: still compiling. {_join(found, one.model)}", err=True)
        return
    why = reason(outcome)
    typer.echo(f"{one.model}: failed: {why}", err=True)
    lines = [line for line in last_lines(found.aws, found.table, one) if line not in why]
    for line in lines:
        typer.echo(f"  | {line}", err=True)
    if outcome.get("log_url"):
        typer.echo(f"  log: {outcome['log_url']}", err=True)
    if outcome.get("cache") == "hit":  # nothing was compiled: the failure is an earlier one's
        typer.echo(
            f"  remembered; try it again: neuron-cdk models compile {one.model} --force -d {found.file}", err=True
        )


def _join(found: Found, *models: str) -> str:
    return f"Join it again: neuron-cdk models compile {' '.join(models)} --wait -d {found.file}"


def _tell_targets(one: Compile) -> None:
    """Who gets it without a deploy; of what failed, nobody."""
    if one.targets and (one.outcome is None or one.is_ready):
        see = f"neuron-cdk models history {one.targets[0]}"
        typer.echo(f"  goes to {', '.join(one.targets)} without a deploy; see {see}")
