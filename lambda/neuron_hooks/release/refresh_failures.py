"""What tells that a release does not come up: instance refreshes that ended badly, launches that fail. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..fleet.instance_refresh import InstanceRefresh
from ..fleet.launch_failures import Why, why
from ..fleet.seen import Launch

_ABANDONED_IN_A_ROW = 3  # as many instances that start and are not found ready are no accident


@dataclass(frozen=True, slots=True)
class Before:
    """A group before a release: its newest refresh ("" for none), when a launch last ended (0 for none)."""

    refresh: str
    launch: int


def of_refreshes(refreshes: Iterable[InstanceRefresh], before: Before) -> list[str]:
    """Refreshes since then that were no success.

    :param refreshes: newest first.
    """
    found = []
    for one in refreshes:
        if one.id == before.refresh:
            break
        if not one.is_under_way and one.status != "Successful":
            found.append(f"instance refresh {one.id} ended as {one.status}: {one.reason}")
    return found


def of_launches(launches: Iterable[Launch], since: int) -> str:
    """Why launches that ended after ``since`` fail; empty where none does, or for want of capacity, which comes back.

    Auto Scaling would go on trying for longer than anybody waits.
    """
    abandoned = 0
    for launch in sorted(launches, key=lambda launch: launch.at):
        if launch.at <= since:
            continue
        if launch.status == "Successful":
            abandoned = 0
            continue
        kind = why(launch.message)
        abandoned += kind is Why.ABANDONED
        if kind is Why.MISTAKE or abandoned >= _ABANDONED_IN_A_ROW:
            return f"instances do not come into service: {launch.message}"
    return ""
