"""When what was uploaded under a watched prefix is taken for whole. Pure; times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable

READY = "_READY"
"""The object that says so, where somebody puts one."""
# Nobody waits for what an upload started, and a model of many shapes may take days. A day less than the request machine
# may run (``neuron_cdk.model.state_machines``): what ends by itself says how it ended.
_PATIENCE = 13 * 86_400


def begins(minute: int, quiet_seconds: int) -> int:
    """When the execution for the objects of a minute (minutes since the epoch) may begin."""
    return (minute + 1) * 60 + quiet_seconds


def is_settled(modified: Iterable[int], at: int | None) -> bool:
    """Whether no file is younger than a time; else the execution that the younger one started will do it."""
    return at is None or all(time < at for time in modified)


def deadline(begins: int) -> int:
    """Until when an execution that may begin then waits for what it asked for."""
    return begins + _PATIENCE
