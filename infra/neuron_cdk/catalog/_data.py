"""Reading the data files, and finding the name somebody probably meant."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "data"


@cache
def read(name: str) -> dict[str, Any]:
    """The content of ``data/<name>.json``, read once a process. Callers must not change it."""
    content: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_bytes())
    return content


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, or None when nothing is close."""
    from difflib import get_close_matches  # only a mistake pays for it

    return next(iter(get_close_matches(name.lower(), known, n=1, cutoff=0.6)), None)
