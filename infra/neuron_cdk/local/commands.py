"""``neuron-cdk local``: start, look at and stop the embedded AWS."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .errors import LocalError, WrongFolderError
from .supervisor import EmbeddedAws, Status

app = typer.Typer(help="The embedded AWS: everything on this machine, no account.", no_args_is_help=True)

State = Annotated[Path, typer.Option(help="Folder of its state.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Loopback port; 0 takes a free one.")]
_STATE = Path(".local")


@app.command()
def up(state: State = _STATE, port: Port = 4566) -> None:
    """Start it, with everything that was deployed last."""
    with _in_words():
        embedded = EmbeddedAws(state, port=port)
        embedded.up(progress=_progress)
        typer.echo(embedded.url)


@app.command()
def deploy(
    file: Annotated[Path, typer.Argument(help="A deployment file for account 000000000000.")],
    state: State = _STATE,
    port: Port = 4566,
    requests: Annotated[int, typer.Option(min=1, help="How many to send to each endpoint.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report, and nothing else.")] = False,
) -> None:
    """Deploy a file with the CDK's command line and call its endpoints; the report is STATE/report.json."""
    from rich.console import Console

    from .. import spec
    from . import deploy as local_deploy

    console = Console(quiet=as_json)
    with _in_words():
        try:
            embedded = EmbeddedAws(state, port=port)
            report = local_deploy.deploy(file, embedded, console=console, requests=requests)
        except spec.SpecError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("neuron-cdk: interrupted; run the same again to go on", err=True)
            raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        local_deploy.show(report, console)


@app.command()
def status(
    state: State = _STATE, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """Say what runs."""
    with _in_words():
        now = EmbeddedAws(state).status()
    typer.echo(json.dumps(asdict(now), indent=2) if as_json else _shown(now))


@app.command()
def logs(
    state: State = _STATE, follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it writes.")] = False
) -> None:
    """Print what the embedded AWS wrote about itself."""
    with _in_words():
        embedded = EmbeddedAws(state)
        try:
            with embedded.logs_path.open(errors="replace") as written:
                while True:
                    sys.stdout.write(written.read())
                    sys.stdout.flush()
                    if not (follow and embedded.status().running):
                        return
                    time.sleep(0.3)
        except FileNotFoundError:
            raise LocalError(f"there are no logs in {state}: the embedded AWS has not run there") from None
        except KeyboardInterrupt:  # how --follow is left
            return


@app.command()
def down(
    state: State = _STATE,
    delete_state: Annotated[bool, typer.Option("--delete-state", help="Forget what was deployed, too.")] = False,
) -> None:
    """Stop every process and remove every temporary folder; what was deployed comes back with the next up."""
    with _in_words():
        EmbeddedAws(state).down(delete_state=delete_state)


def _shown(now: Status) -> str:
    if not now.running:
        return "not running"
    lines = [f"running at {now.url} (pid {now.pid})"]
    lines += [f"  stack {name}: {state}" for name, state in sorted(now.stacks.items())]
    lines += [
        f"  endpoint {name}: {it['status']}" + "".join(f", pid {pid}" for pid in it["pids"])
        for name, it in sorted(now.endpoints.items())
    ]
    lines += [
        f"  job {name}: {state}" for name, state in sorted(now.jobs.items()) if state in ("InProgress", "Stopping")
    ]
    return "\n".join(lines)


def _progress(message: str) -> None:
    """Only a person waits; a pipe or a log wants results."""
    if sys.stderr.isatty():
        typer.echo(message, err=True)


@contextmanager
def _in_words() -> Iterator[None]:
    """A failure is one line and exit status 1, or 2 when a folder cannot be worked in."""
    try:
        yield
    except WrongFolderError as error:
        typer.echo(f"neuron-cdk: {error}", err=True)
        raise typer.Exit(2) from error
    except LocalError as error:
        typer.echo(f"neuron-cdk: {error}", err=True)
        raise typer.Exit(1) from error
    except BrokenPipeError:  # whoever read has enough: no failure to tell of
        raise
    except OSError as error:
        typer.echo(f"neuron-cdk: {error}", err=True)
        raise typer.Exit(1) from error
