"""What SageMaker remembers, by account and region, and the operations that are alike for every kind of thing."""

from __future__ import annotations

import copy
import time
from typing import Any

from ministack.core.responses import (
    AccountRegionScopedDict,
    get_account_id,
    get_region,
    set_request_account_id,
    set_request_region,
)

from ..api import ServiceError
from ..clock import clock

Record = dict[str, Any]

models = AccountRegionScopedDict()
endpoint_configs = AccountRegionScopedDict()
endpoints = AccountRegionScopedDict()
components = AccountRegionScopedDict()
jobs = AccountRegionScopedDict()
_tags = AccountRegionScopedDict()

_SAVED = {
    "models": models,
    "endpoint_configs": endpoint_configs,
    "endpoints": endpoints,
    "components": components,
    "jobs": jobs,
    "tags": _tags,
}


def get_state() -> dict[str, Any]:
    return {name: copy.deepcopy(store) for name, store in _SAVED.items()}


def load_persisted_state(saved: dict[str, Any]) -> None:
    for name, store in _SAVED.items():
        store.update(saved.get(name, {}))


def reset() -> None:
    for store in _SAVED.values():
        store.clear()


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name}"


def tag(resource: str, tags: list[dict[str, str]]) -> None:
    """Add ``tags`` to the resource, replacing those with the same key."""
    present = {item["Key"]: item for item in _tags.get(resource, [])}
    _tags[resource] = list((present | {item["Key"]: item for item in tags}).values())


def untag(resource: str, keys: list[str]) -> None:
    _tags[resource] = [item for item in _tags.get(resource, []) if item["Key"] not in keys]


def forget_tags(resource: str) -> None:
    _tags.pop(resource, None)


def tags_of(resource: str) -> list[dict[str, str]]:
    return list(_tags.get(resource, []))


def now() -> float:
    """Seconds since the epoch, as SageMaker's JSON carries times."""
    return round(time.time(), 3)


def moment() -> float:
    """The same by the server's clock, which endpoints and components live by."""
    return round(clock.now(), 3)


def find(store: Any, kind: str, name: str) -> Record:
    """The record ``name``. Raises ``ValidationException`` worded as SageMaker's when there is none."""
    record: Record | None = store.get(name)
    if record is None:
        raise ServiceError("ValidationException", f'Could not find {kind.replace("-", " ")} "{arn(kind, name)}".')
    return record


def refuse_taken(store: Any, kind: str, name: str) -> None:
    if name in store:
        raise ServiceError(
            "ValidationException", f'Cannot create already existing {kind.replace("-", " ")} "{arn(kind, name)}".'
        )


def page(
    records: list[Record], request: Record, *, name: str, status: str | None = None
) -> tuple[list[Record], str | None]:
    """One page of a List operation, newest first, and the token of the next."""
    wanted = [
        record
        for record in sorted(
            records, key=lambda record: record["CreationTime"], reverse=request.get("SortOrder") != "Ascending"
        )
        if request.get("NameContains", "").lower() in record[name].lower()
        and (status is None or request.get("StatusEquals") in (None, record[status]))
    ]
    start = int(request.get("NextToken") or 0)
    end = start + request.get("MaxResults", 100)
    return wanted[start:end], str(end) if end < len(wanted) else None


def account() -> str:
    """The account of the request under way."""
    return str(get_account_id())


def region() -> str:
    """The region of the request under way."""
    return str(get_region())


def speak_for(account: str, region: str) -> None:
    """Let this thread's context be a request of ``account`` in ``region``."""
    set_request_account_id(account)
    set_request_region(region)
