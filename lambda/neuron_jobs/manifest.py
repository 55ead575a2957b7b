"""``manifest.json``: what an artifact holds and how it came about. Written last, so that its presence means whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import JobError
from .source import files_in

NAME = "manifest.json"
SCHEMA = 1
_CHUNK = 1 << 20


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Add the list of files (path, sha256, bytes) to the facts and write the manifest in one step."""
    files = [
        {"path": file.relative_to(folder).as_posix(), "sha256": sha256(file), "bytes": file.stat().st_size}
        for file in files_in(folder)
    ]
    partial = folder / f".{NAME}.partial"
    partial.write_text(json.dumps({"schema": SCHEMA, **facts, "files": files}, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, folder / NAME)


def verify(folder: Path) -> dict[str, Any]:
    """Read the manifest of an artifact whose every file is there and has the bytes it should have.

    :raises JobError: naming what is missing or differs.
    """
    try:
        document: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        schema, files = document["schema"], [(entry["path"], entry["sha256"]) for entry in document["files"]]
    except FileNotFoundError:
        raise JobError(f"the artifact is incomplete: it has no {NAME}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"the artifact is corrupt: {NAME} cannot be read ({error!r})") from error
    if schema != SCHEMA:
        raise JobError(f"the artifact has a manifest of schema {schema!r}; this version reads schema {SCHEMA}")
    for path, digest in files:
        file = folder / path
        if not file.is_file():
            raise JobError(f"the artifact is incomplete: {path} is missing")
        if sha256(file) != digest:
            raise JobError(f"the artifact is corrupt: {path} does not have the sha256 that the manifest gives")
    return document


def sha256(file: Path) -> str:
    """The hexadecimal digest of a file of any size."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
