"""The registry's items, and the conditional writes that keep them true. Pure: ``aws`` sends what is made here.

One item per artifact key, in DynamoDB's own form. It is ``compiling`` under a lease, ``ready``, ``failed`` or
``retiring``. A lease is taken when there is no item, when the last attempt failed and may be tried again, or when the
last holder's lease has run out; whoever loses the race sees DynamoDB's ``ConditionalCheckFailedException`` and waits. A
``ready`` item is left only by housekeeping, to ``retiring``, when nobody uses it.

One item per model, ``model#<name>``: ``document`` (its properties as a deploy declared them last, JSON) and ``users``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .model_request import ModelRequest

COMPILING = "compiling"
READY = "ready"
FAILED = "failed"
RETIRING = "retiring"
"""Nobody used it for long, and its files are being removed: whoever wants it again compiles it anew."""

MODEL = "model#"
"""What a model's own item is called: this and its name."""

Item = Mapping[str, Mapping[str, Any]]
Update = dict[str, Any]
Value = str | int | float | bool | Sequence[str]


@dataclass(frozen=True)
class Entry:
    """What decisions need of an item, empty or 0 where it does not say. Times are seconds since the epoch.

    ``final``: it failed for a reason that trying again does not change; for one that ran out of its time, only as long
    as nobody gives it more than ``failed_minutes``. ``too_small``: GiB of memory that were too little for its compile.
    ``content_digest`` is a mirror's: of the files it holds.
    """

    state: str
    attempt: str
    lease_owner: str
    lease_expires: int
    artifact_uri: str
    compile_seconds: float
    usd: float | None
    asked: frozenset[str]
    reason: str
    log_url: str
    final: bool
    failed_minutes: int
    failed_at: int
    too_small: int
    content_digest: str

    def is_free(self, now: int, *, timeout_minutes: int, forced_at: int | None) -> bool:
        """Whether a lease may be taken.

        :param timeout_minutes: how long the compile that is asked for may run.
        :param forced_at: when somebody asked to try again whatever is remembered; what failed later was tried again.
        """
        if self.state == COMPILING:
            return self.lease_expires < now
        if self.state == FAILED:
            return not self.is_remembered(timeout_minutes=timeout_minutes, forced_at=forced_at)
        return self.state == RETIRING

    def is_remembered(self, *, timeout_minutes: int, forced_at: int | None) -> bool:
        """Whether it failed and is not to be tried again."""
        if self.state != FAILED or not self.final or 0 < self.failed_minutes < timeout_minutes:
            return False
        return forced_at is None or self.failed_at > forced_at


def entry(item: Item) -> Entry:
    """Read an item as GetItem gives it."""

    def text(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    def number(name: str) -> float:
        return float(item.get(name, {}).get("N", "0"))

    return Entry(
        state=text("state"),
        attempt=text("attempt"),
        lease_owner=text("lease_owner"),
        lease_expires=int(number("lease_expires")),
        artifact_uri=text("artifact_uri"),
        compile_seconds=number("compile_seconds"),
        usd=number("usd") if "usd" in item else None,
        asked=frozenset(item.get("asked", {}).get("SS", ())),
        reason=text("reason"),
        log_url=text("log_url"),
        final=bool(item.get("final", {}).get("BOOL", False)),
        failed_minutes=int(number("failed_minutes")),
        failed_at=int(number("failed_at")),
        too_small=int(number("too_small")),
        content_digest=text("content_digest"),
    )


def get(table: str, key: str) -> dict[str, Any]:
    """A GetItem request; always consistent, since a decision follows."""
    return {"TableName": table, "Key": {"artifact_key": {"S": key}}, "ConsistentRead": True}


def take_lease(
    table: str,
    key: str,
    model: ModelRequest,
    *,
    seen: Entry | None,
    asked: str,
    attempt: str,
    owner: str,
    now: int,
    expires: int,
) -> Update:
    """An UpdateItem request that makes ``owner`` the one who compiles, unless somebody was faster.

    :param seen: the item that was found free, or None where there was none: the lease is taken from that one only.
    """
    fields: dict[str, Value] = {
        "state": COMPILING,
        "attempt": attempt,
        "lease_owner": owner,
        "lease_expires": expires,
        "model": model.name,
        "engine": model.engine,
        "target": model.target,
        "sdk": model.sdk,
    }
    remove = (
        *("reason", "log_url", "job_name", "host", "usd", "job_seconds", "final", "failed_minutes", "failed_at"),
        *("retired_at", "deleting"),
    )
    if seen is None:
        request = _update(table, key, fields, remove=remove, condition="attribute_not_exists(artifact_key)", values={})
    else:
        request = _update(
            table,
            key,
            fields,
            remove=remove,
            condition="#attempt = :seen AND (#state = :failed OR #state = :retiring OR "
            "(#state = :compiling AND #lease_expires < :now))",
            values={
                "seen": seen.attempt,
                "failed": FAILED,
                "retiring": RETIRING,
                "compiling": COMPILING,
                "now": now,
            },
        )
    return _add(request, asked={"SS": [asked]})


def renew_lease(table: str, key: str, *, attempt: str, expires: int, too_small: int) -> Update:
    """An UpdateItem request that gives an attempt time for another try, if it is still the current one.

    :param too_small: GiB of memory that were too little, or 0. They stay in the item, whatever becomes of it.
    """
    fields = {"lease_expires": expires, **({"too_small": too_small} if too_small else {})}
    return _update(
        table,
        key,
        fields,
        condition="#state = :compiling AND #attempt = :attempt",
        values={"compiling": COMPILING, "attempt": attempt},
    )


def publish(table: str, key: str, fields: Mapping[str, Value], *, attempt: str, now: int) -> Update:
    """An UpdateItem request that makes an attempt the artifact, unless another has become it.

    :param fields: ``artifact_uri``, ``manifest_sha256``, ``compile_seconds``, ``job_name``, ``host``, ``job_seconds``,
        and what else is known of it: ``usd``, ``log_url``, ``verification``, ``parts``, ``content_digest``.
    """
    return _update(
        table,
        key,
        {
            "state": READY,
            "attempt": attempt,
            "registered_at": now,
            "last_used": now,
            "users_since": now,
            "hits": 0,
            **fields,
        },
        remove=("lease_owner", "lease_expires", "reason", "final", "failed_minutes", "failed_at"),
        condition="attribute_not_exists(#state) OR #state <> :ready",
        values={"ready": READY},
    )


def fail(table: str, key: str, fields: Mapping[str, Value], *, attempt: str, now: int) -> Update:
    """An UpdateItem request that records why an attempt failed and frees its lease, if it is still the current one.

    :param fields: ``reason``, ``final``, and what is known of the job: ``job_name``, ``log_url``, ``host``, ``usd``,
        ``job_seconds``; ``failed_minutes``, its limit, where that is what ended it; ``too_small``, the GiB of memory
        that were too little.
    """
    return _update(
        table,
        key,
        {"state": FAILED, "failed_at": now, **fields},
        remove=("lease_owner", "lease_expires"),
        condition="#state = :compiling AND #attempt = :attempt",
        values={"compiling": COMPILING, "attempt": attempt},
    )


def count_hit(table: str, key: str, *, asked: str, execution: str, now: int) -> Update:
    """An UpdateItem request that counts a hit, once for an execution however often it asks."""
    request = _update(
        table,
        key,
        {"last_hit": execution, "last_used": now},
        condition="#state = :ready AND (attribute_not_exists(#last_hit) OR #last_hit <> :last_hit)",
        values={"ready": READY},
    )
    return _add(request, hits={"N": "1"}, asked={"SS": [asked]})


def touch(table: str, key: str, now: int) -> Update:
    """An UpdateItem request that says of an artifact that it is in use, without a user of its own."""
    return _update(table, key, {"last_used": now}, condition="#state = :ready", values={"ready": READY})


# -- who uses what -------------------------------------------------------------------------------------------------


def use(table: str, key: str, user: str, now: int) -> Update:
    """An UpdateItem request that writes a user into an artifact: what has users is never removed.

    :param user: ``<stack ARN>|<logical id>``.
    """
    request = _update(table, key, {"last_used": now}, condition="#state = :ready", values={"ready": READY})
    return _add(request, used_by={"SS": [user]})


def release(table: str, key: str, user: str) -> Update:
    """An UpdateItem request that takes a user out of an artifact, if there is such an artifact."""
    return _take_out(table, key, "used_by", user)


def declare(table: str, model: str, *, document: str, user: str) -> Update:
    """An UpdateItem request that writes a model as a deploy declares it, and who has which artifact of it.

    :param document: the model's properties, as JSON.
    :param user: ``<stack ARN>|<logical id>|<artifact key>``, or "" when nothing came of it.
    """
    request = _update(table, f"{MODEL}{model}", {"document": document}, condition="", values={})
    return _add(request, users={"SS": [user]}) if user else request


def artifacts_of(item: Item, resource: str) -> list[str]:
    """The keys of the artifacts that a model's item says a resource has: more than one while a deploy goes on.

    :param resource: ``<stack ARN>|<logical id>``.
    """
    users = item.get("users", {}).get("SS", ())
    return sorted(user.removeprefix(f"{resource}|") for user in users if user.startswith(f"{resource}|"))


def undeclare(table: str, model: str, user: str) -> Update:
    """An UpdateItem request that takes a user out of a model. Its document stays: it may be tried again by name."""
    return _take_out(table, f"{MODEL}{model}", "users", user)


def _take_out(table: str, key: str, name: str, member: str) -> Update:
    return {
        "TableName": table,
        "Key": {"artifact_key": {"S": key}},
        "UpdateExpression": f"DELETE #{name} :{name}",
        "ConditionExpression": "attribute_exists(artifact_key)",  # never makes an item
        "ExpressionAttributeNames": {f"#{name}": name},
        "ExpressionAttributeValues": {f":{name}": {"SS": [member]}},
    }


def _update(
    table: str,
    key: str,
    fields: Mapping[str, Value],
    *,
    condition: str,
    values: Mapping[str, Value],
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
        **({"ConditionExpression": condition} if condition else {}),
        "ExpressionAttributeNames": {f"#{name}": name for name in (*fields, *remove, *used)},
        "ExpressionAttributeValues": {f":{name}": _value(value) for name, value in {**fields, **values}.items()},
    }


def _add(request: Update, **additions: dict[str, Any]) -> Update:
    """The request, adding to numbers and sets as well."""
    request["UpdateExpression"] += " ADD " + ", ".join(f"#{name} :{name}" for name in additions)
    request["ExpressionAttributeNames"] |= {f"#{name}": name for name in additions}
    request["ExpressionAttributeValues"] |= {f":{name}": value for name, value in additions.items()}
    return request


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    return {"N": str(value)} if isinstance(value, int | float) else {"SS": list(value)}
