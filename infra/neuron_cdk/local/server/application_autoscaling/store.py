"""What Application Auto Scaling remembers, by account and region. What stands under an underscore is not described."""

from __future__ import annotations

import copy
from typing import Any

from ministack.core.responses import AccountRegionScopedDict

from ..api import ServiceError

Record = dict[str, Any]
Key = tuple[str, str, str]
"""Service namespace, resource id, scalable dimension."""

targets = AccountRegionScopedDict()
policies = AccountRegionScopedDict()
"""By key and name, as scheduled actions are."""
scheduled = AccountRegionScopedDict()
activities = AccountRegionScopedDict()
"""By id, oldest first."""

_SAVED = {"targets": targets, "policies": policies, "scheduled": scheduled, "activities": activities}


def get_state() -> Record:
    return {name: copy.deepcopy(table) for name, table in _SAVED.items()}


def load_persisted_state(saved: Record) -> None:
    for name, table in _SAVED.items():
        table.update(saved.get(name, {}))


def reset() -> None:
    for table in _SAVED.values():
        table.clear()


def key_of(record: Record) -> Key:
    return record["ServiceNamespace"], record["ResourceId"], record["ScalableDimension"]


def target(request: Record) -> Record:
    """Raise ``ObjectNotFoundException`` when it is not registered."""
    found: Record | None = targets.get(key_of(request))
    if found is None:
        namespace, resource, dimension = key_of(request)
        raise ServiceError(
            "ObjectNotFoundException",
            f"No scalable target found for service namespace: {namespace}, resource ID: {resource}, "
            f"scalable dimension: {dimension}",
        )
    return found


def of_target(table: Any, key: Key) -> list[Record]:
    """A target's policies, or its scheduled actions."""
    return [record for record in list(table.values()) if key_of(record) == key]


def described(records: list[Record], request: Record, names: str = "", of: str = "ResourceId") -> list[Record]:
    """Those the request asks for, without what is not described. ``names`` is the request's list, of members ``of``."""
    return [
        {member: value for member, value in record.items() if not member.startswith("_")}
        for record in records
        if record["ServiceNamespace"] == request["ServiceNamespace"]
        and request.get("ScalableDimension") in (None, record["ScalableDimension"])
        and request.get("ResourceId") in (None, record["ResourceId"])
        and (not request.get(names) or record[of] in request[names])
    ]
