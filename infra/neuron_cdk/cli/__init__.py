"""The ``neuron-cdk`` command. Exit codes: 0 done, 1 the operation failed, 2 the input is wrong."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line."""
    from .app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be in the terminal's alphabet
    app()
