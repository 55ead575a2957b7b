"""When what was uploaded under a watched prefix is taken for whole. Pure; times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable

READY = "_READY"
"""The object that says so, where somebody puts one."""
_AFTERWARDS = 3600  # finding a host, starting it, checking what it made


def begins(minute: int, quiet_seconds: int) -> int:
    """When the execution for the objects of a minute (minutes since the epoch) may begin."""
    return (minute + 1) * 60 + quiet_seconds


def is_settled(modified: Iterable[int], at: int | None) -> bool:
    """Whether no file is younger than a time; else the execution that the younger one started will do it."""
    return at is None or all(time < at for time in modified)


def deadline(begins: int, timeout_minutes: int) -> int:
    """Until when an execution waits for a compile of this time limit."""
    return begins + timeout_minutes * 60 + _AFTERWARDS
