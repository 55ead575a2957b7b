"""How findings are shown: one after another, the severity in colour on a terminal, and a line that sums up."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from neuron_cdk.spec import Finding

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def show(path: Path, findings: Sequence[Finding], verdict: str) -> None:
    """Print findings, and how many of which severity a file has."""
    for finding in findings:
        _print(str(finding))
    if findings and findings[0].code == "NCDK-FILE-001":
        return  # no file, nothing to sum up
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items()]
    typer.echo(f"{path}: {verdict}{', ' if parts else ''}{', '.join(parts)}")


def show_json(path: Path, findings: Sequence[Finding], *, valid: bool, **more: Any) -> None:
    """Print one JSON object on one line."""
    found = [finding.to_json() for finding in findings]
    typer.echo(json.dumps({"file": str(path), "valid": valid, **more, "findings": found}))


def _print(text: str) -> None:
    """Colour the severity on a terminal; plain text, free of escapes, for everything else."""
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.console import Console
    from rich.text import Text

    shown = Text(text)
    for severity, style in _STYLES.items():
        shown.highlight_words([f" {severity} "], style=style)
    Console().print(shown, soft_wrap=True)
