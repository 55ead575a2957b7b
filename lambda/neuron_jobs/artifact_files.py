"""Whether an artifact is what was compiled: for the scripts that serving containers run. Stands alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def settings(folder: Path) -> dict[str, Any]:
    """What ``code/settings.json`` of a whole artifact says.

    :raises ValueError: naming the file of the manifest that is missing or is not what was compiled.
    """
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for entry in manifest["files"]:
        if not (folder / entry["path"]).is_file() or _sha256(folder / entry["path"]) != entry["sha256"]:
            raise ValueError(f"the artifact is corrupt: {entry['path']} is not what the manifest lists")
    document: dict[str, Any] = json.loads((folder / "code" / "settings.json").read_text(encoding="utf-8"))
    return document


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
