"""Where the code that runs in AWS lies: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def lambda_root() -> Path:
    """The folder that holds the packages ``neuron_hooks`` (Lambda) and ``neuron_jobs`` (containers).

    Never relative to the current folder: a construct works the same from anybody's application.
    """
    carried = _PACKAGE / "_lambda"
    return carried if carried.is_dir() else _PACKAGE.parent.parent / "lambda"


def only(package: str) -> list[str]:
    """Ignore patterns (git's syntax) that leave one of the packages, without what Python caches beside it."""
    return ["/*", f"!/{package}", "__pycache__", "*.pyc"]
