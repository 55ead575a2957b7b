"""Names of files that somebody else chose: which of them may be written, and which of them a pattern means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

_MOST_CHARACTERS = 1000
_MOST_BYTES_OF_A_PART = 255  # what Linux's file systems take


def why_not(name: str) -> str:
    """Why a file of this name is not written below a folder; nothing when it may be. ``/`` parts folders."""
    if not name or len(name) > _MOST_CHARACTERS:
        return "has no name, or one of more than 1,000 characters"
    if any(character < " " or character == "\x7f" or 0xD800 <= ord(character) <= 0xDFFF for character in name):
        return "has control characters in its name, or bytes that are no text"
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ".." in parts or re.match(".:", name):
        return "would be written outside its folder"
    if any(part in ("", ".") for part in parts):
        return "has an empty part in its path"
    if any(len(part.encode()) > _MOST_BYTES_OF_A_PART for part in parts):
        return "has a part in its path of more than 255 bytes"
    return ""


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern names a file, by its whole path or by its last part; ``*`` crosses folders."""
    return fnmatchcase(path, pattern) or fnmatchcase(path.rpartition("/")[2], pattern)


def any_matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns names the file."""
    return any(matches(path, pattern) for pattern in patterns)
