"""``neuron-cdk fleets``: the fleets of a deployment file as they are now, and another size for one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .aws import STATE, State, place
from .findings import show as show_findings

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws
    from neuron_cdk.spec import Deployment

    from .live_fleets import LiveFleet

app = typer.Typer(help="A deployment's fleets, as they are now.", no_args_is_help=True, add_completion=False)

File = Annotated[Path, typer.Argument(help="A deployment file.")]
Name = Annotated[str, typer.Argument(help="A fleet of the file.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document, for tools.")]


@app.command("list")
def list_(file: File, state: State = STATE, as_json: Json = False) -> None:
    """List the fleets: how many instances are wanted, asked for and in service, in which pools."""
    deployment, aws = _open(file, state)
    found = _read(aws, deployment, deployment.fleets)
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
    deployment, aws = _open(file, state)
    (fleet,) = _read(aws, deployment, [_known(deployment, name)])
    if as_json:
        typer.echo(json.dumps(fleet.to_json(), indent=2))
        return
    if not fleet.deployed:
        typer.echo(f"{fleet.name}: not deployed, there is no stack {fleet.stack}")
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


@app.command()
def scale(
    file: File,
    name: Name,
    target: Annotated[int, typer.Argument(min=0, help="How many instances.")],
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Ask for another number of instances; the fleet's scaling, if it has any, goes on from there."""
    from neuron_cdk.doctor.aws import AskError

    from .live_fleets import NotDoneError
    from .live_fleets import scale as ask

    deployment, aws = _open(file, state)
    (fleet,) = _read(aws, deployment, [_known(deployment, name)])
    try:
        ask(aws, fleet, target)
    except (AskError, NotDoneError) as error:
        raise _failed(str(error)) from None
    before = fleet.desired if fleet.target is None else fleet.target
    if as_json:
        typer.echo(json.dumps({"fleet": name, "target": target, "before": before}))
    else:
        typer.echo(f"{name}: target {target}, was {before}")


def _open(file: Path, state: Path) -> tuple[Deployment, BotoAws]:
    """The deployment and its AWS; leaves with 2 for a file that is not valid, with 1 where nobody can be asked."""
    from neuron_cdk.spec import SpecError, load

    try:
        deployment = load(file).deployment
    except SpecError as error:
        show_findings(file, error.findings, "not valid")
        raise typer.Exit(2) from None

    from neuron_cdk.doctor.aws import AskError
    from neuron_cdk.doctor.boto import BotoAws
    from neuron_cdk.local import LocalError

    try:
        where = place(deployment, state)
        aws = BotoAws(where.session, where.region, endpoint=where.endpoint)
        account = aws.account()
    except (LocalError, AskError) as error:
        raise _failed(str(error)) from None
    if account != deployment.environment.account:
        raise _failed(f"{file} is for account {deployment.environment.account}, and the credentials are of {account}")
    return deployment, aws


def _read(aws: BotoAws, deployment: Deployment, names: Iterable[str]) -> list[LiveFleet]:
    from neuron_cdk.doctor.aws import AskError

    from .live_fleets import NotDoneError, read

    try:
        return read(aws, deployment.name, names)
    except (AskError, NotDoneError) as error:
        raise _failed(str(error)) from None


def _known(deployment: Deployment, name: str) -> str:
    if name not in deployment.fleets:
        has = ", ".join(deployment.fleets) or "none"
        typer.echo(f"neuron-cdk: the file has no fleet {name}; its fleets: {has}", err=True)
        raise typer.Exit(2)
    return name


def _failed(message: str) -> typer.Exit:
    typer.echo(f"neuron-cdk: {message}", err=True)
    return typer.Exit(1)


def _shown(target: int | None) -> str:
    return "?" if target is None else str(target)


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as they need; the last as long as it likes."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
