"""What attempts have left in the artifact bucket, and which of it belongs to nobody. Pure.

An attempt writes to ``artifacts/<key>/<attempt>/`` and is asked for by ``requests/<key>/<attempt>/``. When it fails, or
another is published first, its objects stay behind. Objects of another layout are not ours to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .. import registry
from .retirement import Entry

PREFIXES = ("artifacts/", "requests/")
_LAYOUT = re.compile(r"(artifacts|requests)/([0-9a-f]{64})/([^/]+)/.+", re.DOTALL)


@dataclass(frozen=True)
class Stored:
    """One object: ``modified`` in seconds since the epoch."""

    path: str
    size: int
    modified: float


@dataclass(frozen=True)
class Upload:
    """All objects of one attempt under one of the prefixes."""

    prefix: str
    key: str
    attempt: str
    size: int
    newest: float


def group(objects: Iterable[Stored]) -> list[Upload]:
    """The uploads that a listing shows."""
    found: dict[str, Upload] = {}
    for one in objects:
        match = _LAYOUT.fullmatch(one.path)
        if match is None:
            continue
        kind, key, attempt = match.groups()
        prefix = f"{kind}/{key}/{attempt}/"
        before = found.get(prefix)
        found[prefix] = Upload(
            prefix,
            key,
            attempt,
            one.size + (before.size if before else 0),
            max(one.modified, before.newest if before else 0),
        )
    return list(found.values())


def is_left(upload: Upload, entry: Entry | None, *, now: int, after_seconds: int) -> bool:
    """Whether an upload belongs to nobody: not to what is published, nor to who compiles, and not of lately.

    What is retiring is not left: it goes with its item.

    :param entry: of the key's item as it is now; None where there is none.
    """
    if upload.newest + after_seconds >= now:
        return False
    return entry is None or entry.state == registry.FAILED or entry.attempt != upload.attempt


def sizes(uploads: Iterable[Upload]) -> Mapping[tuple[str, str], int]:
    """Bytes of each artifact, by key and attempt."""
    return {(one.key, one.attempt): one.size for one in uploads if one.prefix.startswith("artifacts/")}
