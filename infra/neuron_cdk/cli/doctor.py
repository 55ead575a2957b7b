"""``neuron-cdk doctor``"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from .aws import STATE, State, place
from .failure import in_words
from .findings import show, show_json


def doctor(
    file: Annotated[Path, typer.Argument(help="A deployment file.")],
    state: State = STATE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for tools.")] = False,
) -> None:
    """Compare a deployment file with what AWS says, before a deploy: quotas, zones, AMIs, reservations and more.

    Needs credentials that may read; changes nothing. A file for account 000000000000 is compared with the embedded
    AWS. Exits with 0 when all is well (warnings do not count), 1 when not or when AWS cannot be asked, 2 when the file
    is not valid.
    """
    from neuron_cdk.spec import SpecError, load

    try:
        deployment = load(file).deployment
    except SpecError as error:
        if as_json:
            show_json(file, error.findings, valid=False)
        else:
            show(file, error.findings, "not valid")
        raise typer.Exit(2) from None

    from neuron_cdk.doctor import examine
    from neuron_cdk.doctor.boto import BotoAws

    with in_words(as_json=as_json):
        where = place(deployment, state)
    with _progress(where.name) as progress:
        report = examine(deployment, BotoAws(where.session, where.region, endpoint=where.endpoint), progress=progress)
    if as_json:
        show_json(file, report.findings, valid=report.well, asked=where.name)
    else:
        show(file, report.findings, "ready to deploy" if report.well else "not ready to deploy")
    raise typer.Exit(0 if report.well else 1)


@contextmanager
def _progress(asked: str) -> Iterator[Callable[[str], object]]:
    """A line that says what was looked at last, for a person who waits; nothing for a pipe or a log."""
    if not sys.stderr.isatty():
        yield str
        return
    from rich.console import Console

    with Console(stderr=True).status(f"asking {asked}") as status:
        yield lambda subject: status.update(f"asking {asked}: {subject} looked at")
