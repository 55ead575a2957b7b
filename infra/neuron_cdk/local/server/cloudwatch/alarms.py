"""Alarms by name."""

from __future__ import annotations

from ministack.services import cloudwatch

from .. import patching

_alarms = patching.original(cloudwatch, "_alarms")
_composites = patching.original(cloudwatch, "_composite_alarms")


def state(name: str) -> str | None:
    """``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; None where this account and region have no such alarm."""
    found = _alarms.get(name) or _composites.get(name)
    return None if found is None else str(found["StateValue"])
