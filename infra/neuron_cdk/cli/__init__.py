"""The ``neuron-cdk`` command. Exit codes: 0 done, 1 the operation failed, 2 the input is wrong."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from .app import app

    app()
