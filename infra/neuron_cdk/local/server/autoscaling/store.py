"""What Auto Scaling remembers, by account and region.

A group's record has the members that DescribeAutoScalingGroups shows, and beside them, never shown:

- ``_instances``: by id, see ``instances``;
- ``_activities``: newest first, as DescribeScalingActivities shows them;
- ``_hooks``, ``_policies``, ``_scheduled``, ``_notifications``: by name, as their Describe operations show them;
- ``_refreshes``: newest first, see ``refresh``;
- ``_launch``: how many launches failed, and when the next is tried (``failures.back_off``);
- ``_replaced``: how many unhealthy instances left whose replacement is still to be launched;
- ``_causes``: the sentences that the next activity's cause begins with.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

from ministack.core.responses import AccountRegionScopedDict

from ..api import ServiceError

Record = dict[str, Any]

groups = AccountRegionScopedDict()
lock = threading.RLock()
"""Held by whoever reads and changes: a request, or a step of the engine. Never while the state is saved."""


def get_state() -> dict[str, Any]:
    with lock:
        return {"groups": copy.deepcopy(groups)}


def load_persisted_state(saved: dict[str, Any]) -> None:
    groups.update(saved.get("groups", {}))


def reset() -> None:
    with lock:
        groups.clear()


def group(name: str) -> Record:
    """The group ``name``. Raises ``ValidationError`` when there is none."""
    found: Record | None = groups.get(name)
    if found is None:
        raise ServiceError("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return found


def owner_of(instance: str) -> Record | None:
    """The group that has the instance."""
    return next((found for found in groups.values() if instance in found["_instances"]), None)


def suspended(group: Record) -> set[str]:
    """The processes that the group does not do for now."""
    return {each["ProcessName"] for each in group["SuspendedProcesses"]}


def page(records: list[Any], request: Record, *, default: int = 50) -> tuple[list[Any], str | None]:
    """One page of a Describe operation and the token of the next."""
    start = int(request.get("NextToken") or 0)
    end = start + request.get("MaxRecords", default)
    return records[start:end], str(end) if end < len(records) else None
