"""The registry's items, and the conditional writes that keep them true. Pure: ``aws`` sends what is made here.

One item per artifact key, in DynamoDB's own form. It is ``compiling`` under a lease, ``ready`` or ``failed``. A lease
is taken when there is no item, when the last attempt failed, or when the last holder's lease has run out; whoever loses
the race sees DynamoDB's ``ConditionalCheckFailedException`` and waits. Nothing ever leaves ``ready``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .model_request import ModelRequest

COMPILING = "compiling"
READY = "ready"
FAILED = "failed"

Item = Mapping[str, Mapping[str, Any]]
Update = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """What decisions need of an item, empty or 0 where it does not say. Times are seconds since the epoch."""

    state: str
    attempt: str
    lease_owner: str
    lease_expires: int
    artifact_uri: str
    compile_seconds: float
    asked: frozenset[str]

    def is_free(self, now: int) -> bool:
        """Whether a lease may be taken: what the condition of ``take_lease`` says, to spare a write that must fail."""
        return self.state == FAILED or (self.state == COMPILING and self.lease_expires < now)


def entry(item: Item) -> Entry:
    """Read an item as GetItem gives it."""

    def text(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    return Entry(
        state=text("state"),
        attempt=text("attempt"),
        lease_owner=text("lease_owner"),
        lease_expires=int(item.get("lease_expires", {}).get("N", "0")),
        artifact_uri=text("artifact_uri"),
        compile_seconds=float(item.get("compile_seconds", {}).get("N", "0")),
        asked=frozenset(item.get("asked", {}).get("SS", ())),
    )


def get(table: str, key: str) -> dict[str, Any]:
    """A GetItem request; always consistent, since a decision follows."""
    return {"TableName": table, "Key": {"artifact_key": {"S": key}}, "ConsistentRead": True}


def take_lease(
    table: str, key: str, model: ModelRequest, *, asked: str, attempt: str, owner: str, now: int, expires: int
) -> Update:
    """An UpdateItem request that makes ``owner`` the one who compiles, unless someone else is or it is done."""
    request = _update(
        table,
        key,
        {
            "state": COMPILING,
            "attempt": attempt,
            "lease_owner": owner,
            "lease_expires": expires,
            "model": model.name,
            "engine": model.engine,
            "target": model.target,
            "sdk": model.sdk,
        },
        remove=("reason", "log_url", "job_name"),
        condition="attribute_not_exists(artifact_key) OR #state = :failed OR "
        "(#state = :compiling AND #lease_expires < :now)",
        values={"failed": FAILED, "compiling": COMPILING, "now": now},
    )
    return _add(request, asked={"SS": [asked]})


def publish(
    table: str,
    key: str,
    *,
    attempt: str,
    artifact_uri: str,
    manifest_sha256: str,
    compile_seconds: float,
    job_name: str,
    host: str,
    now: int,
) -> Update:
    """An UpdateItem request that makes an attempt the artifact, unless another has become it."""
    return _update(
        table,
        key,
        {
            "state": READY,
            "attempt": attempt,
            "artifact_uri": artifact_uri,
            "manifest_sha256": manifest_sha256,
            "compile_seconds": compile_seconds,
            "job_name": job_name,
            "host": host,
            "registered_at": now,
            "hits": 0,
        },
        remove=("lease_owner", "lease_expires", "reason", "log_url"),
        condition="attribute_not_exists(#state) OR #state <> :ready",
        values={"ready": READY},
    )


def fail(table: str, key: str, *, attempt: str, reason: str, log_url: str, job_name: str) -> Update:
    """An UpdateItem request that records why an attempt failed and frees its lease, if it is still the current one."""
    return _update(
        table,
        key,
        {"state": FAILED, "reason": reason, "log_url": log_url, "job_name": job_name},
        remove=("lease_owner", "lease_expires"),
        condition="#state = :compiling AND #attempt = :attempt",
        values={"compiling": COMPILING, "attempt": attempt},
    )


def count_hit(table: str, key: str, *, asked: str, execution: str) -> Update:
    """An UpdateItem request that counts a hit, once for an execution however often it asks."""
    request = _update(
        table,
        key,
        {"last_hit": execution},
        condition="#state = :ready AND (attribute_not_exists(#last_hit) OR #last_hit <> :last_hit)",
        values={"ready": READY},
    )
    return _add(request, hits={"N": "1"}, asked={"SS": [asked]})


def _update(
    table: str,
    key: str,
    fields: Mapping[str, str | int | float],
    *,
    condition: str,
    values: Mapping[str, str | int],
    remove: tuple[str, ...] = (),
) -> Update:
    """Names are always given as ``#name``: DynamoDB reserves ``state`` and hundreds of other words."""
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in fields)
    if remove:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in remove)
    used = [name for name in ("state", "attempt", "lease_expires", "last_hit") if f"#{name}" in condition]
    return {
        "TableName": table,
        "Key": {"artifact_key": {"S": key}},
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*fields, *remove, *used)},
        "ExpressionAttributeValues": {f":{name}": _value(value) for name, value in {**fields, **values}.items()},
    }


def _add(request: Update, **additions: dict[str, Any]) -> Update:
    """The request, adding to numbers and sets as well."""
    request["UpdateExpression"] += " ADD " + ", ".join(f"#{name} :{name}" for name in additions)
    request["ExpressionAttributeNames"] |= {f"#{name}": name for name in additions}
    request["ExpressionAttributeValues"] |= {f":{name}": value for name, value in additions.items()}
    return request


def _value(value: str | int | float) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)}
