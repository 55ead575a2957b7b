"""What an engine hands over so that what it made can be checked (``verification``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Arrays of NumPy by name of input or output.
Tensors = Mapping[str, Any]
Run = Callable[[Tensors], Tensors]


@dataclass(frozen=True)
class Checks:
    """How the model and its programs are asked on this host.

    Only engines whose programs are served in this project's format give it: the examples that come of it are put into
    the artifact, and the endpoint is asked with them.

    :param original: the model as it was before the compile.
    :param load: loads a program, by its file; None where it cannot run on this host.
    :param why_not: why it cannot.
    """

    original: Run
    load: Callable[[Path], Run] | None = None
    why_not: str = ""
