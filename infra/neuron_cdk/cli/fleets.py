"""``neuron-cdk fleets``: the fleets of a deployment file as they are now, and another size for one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .aws import STATE, State
from .deployed import Json
from .deployed import ask as _ask
from .deployed import load as _load
from .deployed import show_table as _table
from .failure import NotDoneError, WrongInputError, in_words

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws
    from neuron_cdk.spec import Deployment

    from .live_fleets import LiveFleet

app = typer.Typer(help="A deployment's fleets, as they are now.", no_args_is_help=True, add_completion=False)

File = Annotated[Path, typer.Argument(help="A deployment file.")]
Name = Annotated[str, typer.Argument(help="A fleet of the file.")]


@app.command("list")
def list_(file: File, state: State = STATE, as_json: Json = False) -> None:
    """List the fleets: how many instances are wanted, asked for and in service, in which pools."""
    deployment = _load(file, as_json)
    with in_words(as_json=as_json):
        found = _read(_ask(file, deployment, state), deployment, deployment.fleets)
    if as_json:
        typer.echo(json.dumps([fleet.to_json() for fleet in found], indent=2))
        return
    rows = [("fleet", "target", "desired", "in service", "pools")]
    for fleet in found:
        if not fleet.deployed:
            rows.append((fleet.name, "-", "-", "-", "not deployed"))
            continue
        pools = ", ".join(f"{pool.name} {pool.in_service}/{pool.desired}" for pool in fleet.pools)
        rows.append((fleet.name, _shown(fleet.target), str(fleet.desired), str(fleet.in_service), pools))
    _table(rows)


@app.command()
def show(file: File, name: Name, state: State = STATE, as_json: Json = False) -> None:
    """Show one fleet: its pools, and what its controller has to say; all of that with --json."""
    deployment = _load(file, as_json)
    with in_words(as_json=as_json):
        _check_known(deployment, name)
        (fleet,) = _read(_ask(file, deployment, state), deployment, [name])
        if not fleet.deployed:
            raise NotDoneError(fleet.missing)
    if as_json:
        typer.echo(json.dumps(fleet.to_json(), indent=2))
        return
    typer.echo(
        f"{fleet.name}: target {_shown(fleet.target)}, desired {fleet.desired}, in service {fleet.in_service} "
        f"(stack {fleet.stack})"
    )
    rows = [("pool", "desired", "in service", "min", "max", "group")]
    rows += [
        (pool.name, str(pool.desired), str(pool.in_service), str(pool.min), str(pool.max), pool.group)
        for pool in fleet.pools
    ]
    _table(rows)
    for note in fleet.notes:
        typer.echo(note)


@app.command(context_settings={"ignore_unknown_options": True})  # -1 is a number, if a wrong one
def scale(
    file: File,
    name: Name,
    target: Annotated[int, typer.Argument(help="How many instances.")],
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Ask for another number of instances; the fleet's scaling, if it has any, goes on from there."""
    deployment = _load(file, as_json)
    with in_words(as_json=as_json):
        _check_known(deployment, name)
        if target < 0:
            size = deployment.fleets[name].size
            raise WrongInputError(
                f"fleet {name}: a target of {target} is not within {size.min} to {size.max}, the file's sizes"
            )
        from .live_fleets import scale as set_target

        aws = _ask(file, deployment, state)
        (fleet,) = _read(aws, deployment, [name])
        set_target(aws, fleet, target)
    before = fleet.desired if fleet.target is None else fleet.target
    if as_json:
        typer.echo(json.dumps({"fleet": name, "target": target, "before": before}))
    else:
        typer.echo(f"{name}: target {target}, was {before}")


def _read(aws: BotoAws, deployment: Deployment, names: Iterable[str]) -> list[LiveFleet]:
    from .live_fleets import read

    return read(aws, deployment.name, names)


def _check_known(deployment: Deployment, name: str) -> None:
    if name not in deployment.fleets:
        has = ", ".join(deployment.fleets) or "none"
        raise WrongInputError(f"the file has no fleet {name}; its fleets: {has}")


def _shown(target: int | None) -> str:
    return "?" if target is None else str(target)
