"""``neuron-cdk validate``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .findings import show, show_json


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Deployment files.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file and line, for tools.")] = False,
) -> None:
    """Check deployment files against the schema, the catalogue and themselves. Asks AWS nothing.

    Exits with 0 when every file is valid (warnings do not count), else with 2.
    """
    from neuron_cdk.spec import SpecError, load

    valid = True
    for path in files:
        try:
            findings, right = load(path).findings, True
        except SpecError as error:
            findings, right = error.findings, False
        valid = valid and right
        if as_json:
            show_json(path, findings, valid=right)
        else:
            show(path, findings, "valid" if right else "not valid")
    raise typer.Exit(0 if valid else 2)
