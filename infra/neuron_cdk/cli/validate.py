"""``neuron-cdk validate``"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neuron_cdk.spec import Finding

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


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
            found = [finding.to_json() for finding in findings]
            typer.echo(json.dumps({"file": str(path), "valid": right, "findings": found}))
        else:
            _show(path, findings, right)
    raise typer.Exit(0 if valid else 2)


def _show(path: Path, findings: tuple[Finding, ...], valid: bool) -> None:
    for finding in findings:
        _print(str(finding), style=_STYLES[finding.severity])
    if not valid and findings[0].code == "NCDK-FILE-001":
        return  # no file, nothing to sum up
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items()]
    typer.echo(f"{path}: {'valid' if valid else 'not valid'}{', ' if parts else ''}{', '.join(parts)}")


def _print(text: str, *, style: str) -> None:
    """Colour the severity on a terminal; plain text, free of escapes, for everything else."""
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.console import Console
    from rich.text import Text

    shown = Text(text)
    shown.highlight_words([f" {severity} " for severity in _STYLES], style=style)
    Console().print(shown, soft_wrap=True)
