"""Which artifacts are to go, and the conditional writes that make them go. Pure.

An artifact goes in three steps, each a write that changes nothing when the item is no longer what was judged:

1. ``ready`` becomes ``retiring`` (``retired_at``): it is not found any more, and whoever wants it takes a lease on it;
2. an hour later, if still nothing refers to it, ``deleting`` is set: from now on there is no way back. If something
   does by then, because it was about to while the first step was made, it becomes ``ready`` again;
3. its objects are deleted, then its item.

Killed anywhere, the next run goes on from what it finds. An artifact is kept as long as one of these holds:

- a resource of a stack has it (``used_by`` of the item, ``users`` of a model);
- a release refers to it: what a target serves, served before, is about to serve, or could go back to by itself;
- an artifact that is kept was joined from it (``parts``), or a model in use comes from it (a mirror);
- it was used, which is found, compiled or given to a resource, within the days it is kept for;
- it was published by a version that did not write down who uses it (no ``users_since``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .. import model_request, registry
from ..compile import artifact

_KEY = re.compile(r"[0-9a-f]{64}")
_WAYS_BACK = 2
"""How many different artifacts of a target's history stay: what it serves, and what it could go back to."""

Verdict = Literal["keep", "retire", "wait", "restore", "delete"]
Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """What a judgement needs of an artifact's item. Times are seconds since the epoch, 0 where there is none."""

    key: str
    state: str
    attempt: str
    model: str
    lease_owner: str
    lease_expires: int
    last_used: int
    users_since: int
    retired_at: int
    deleting: int
    used_by: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """``wait``: it is retiring, and its hour is not over."""

    entry: Entry
    verdict: Verdict
    why: str


def is_artifact(item: Item) -> bool:
    """Whether an item is an artifact's; the others are of models, releases, endpoints."""
    return _KEY.fullmatch(item["artifact_key"]["S"]) is not None


def entry(item: Item) -> Entry:
    """Read an artifact's item as Scan gives it."""

    def text(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    def number(name: str) -> int:
        return int(float(item.get(name, {}).get("N", "0")))

    def texts(name: str) -> tuple[str, ...]:
        return tuple(sorted(item.get(name, {}).get("SS", ())))

    return Entry(
        key=text("artifact_key"),
        state=text("state"),
        attempt=text("attempt"),
        model=text("model"),
        lease_owner=text("lease_owner"),
        lease_expires=number("lease_expires"),
        last_used=max(number("last_used"), number("registered_at")),
        users_since=number("users_since"),
        retired_at=number("retired_at"),
        deleting=number("deleting"),
        used_by=texts("used_by"),
        parts=texts("parts"),
    )


def judge(items: Sequence[Item], *, now: int, keep_seconds: int, grace_seconds: int) -> list[Judgement]:
    """What is to become of each artifact, by the whole registry.

    :param keep_seconds: how long what nobody uses is kept after it was used last.
    :param grace_seconds: how long it stays retiring before its objects go.
    """
    entries = [entry(item) for item in items if is_artifact(item)]
    why = {one.key: _own_reason(one) for one in entries}
    why |= {key: reason for key, reason in _referred(items).items() if not why.get(key)}
    # Who refers to it says more than when it was used.
    why |= {one.key: _recent(one, now, keep_seconds) for one in entries if not why[one.key]}
    # A part is kept by its wholes, and those perhaps by others.
    kept = [one for one in entries if why[one.key] and not one.deleting]
    by_key = {one.key: one for one in entries}
    while kept:
        whole = kept.pop()
        for part in whole.parts:
            if part in by_key and not why[part]:
                why[part] = f"part of {whole.key[:12]}"
                kept.append(by_key[part])
    return [_judgement(one, why[one.key], now, grace_seconds) for one in entries]


def stuck(entries: Iterable[Entry], *, now: int, after_seconds: int) -> list[Entry]:
    """Those whose lease ran out so long ago that nobody waits for them: whoever waits takes a lease over at once."""
    return [one for one in entries if one.state == registry.COMPILING and one.lease_expires + after_seconds < now]


def _own_reason(one: Entry) -> str:
    """Why an artifact is kept by what its own item says; empty where it does not."""
    if one.used_by:
        return f"used by {', '.join(map(_user, one.used_by[:3]))}"
    if one.state == registry.COMPILING:
        return "compiling"
    if one.state == registry.FAILED:
        return "remembered as failed"
    if one.state != registry.READY:
        return ""
    return "" if one.users_since else "published by a version that did not write down who uses it"


def _user(user: str) -> str:
    """``Model0301700E of prod-Endpoint-embed``."""
    stack, _, logical_id = user.partition("|")
    return f"{logical_id} of {stack.partition('/')[2].partition('/')[0] or stack}"


def _recent(one: Entry, now: int, keep_seconds: int) -> str:
    if one.state != registry.READY or one.last_used + keep_seconds <= now:
        return ""
    days = max(0, now - one.last_used) // 86400
    ago = {0: "within a day", 1: "a day ago"}.get(days, f"{days} days ago")
    return f"last used {ago}, kept for {keep_seconds // 86400} days"


def _referred(items: Iterable[Item]) -> dict[str, str]:
    """Keys that models, releases and endpoints refer to, and who does."""
    found: dict[str, str] = {}
    for item in items:
        name = item["artifact_key"]["S"]
        kind, _, what = name.partition("#")
        if not what:
            continue
        if kind == "model":
            found |= dict.fromkeys(_of_model(item), f"model {what} has it")
        else:
            found |= dict.fromkeys(_of_release(item), f"{kind} {what} refers to it")
    return found


def _of_model(item: Item) -> set[str]:
    users = item.get("users", {}).get("SS", ())
    keys = {user.rpartition("|")[2] for user in users}
    try:
        source = model_request.parse(json.loads(item["document"]["S"])).source if users else None
    except (KeyError, ValueError, model_request.RequestError):
        source = None  # of a version with other properties: it has no mirror
    return keys | ({artifact.mirror_key(source)} if source and source.kind == "huggingface" else set())


def _of_release(item: Item) -> set[str]:
    """Every key an item has anywhere, but of a history the latest that were good."""
    texts = [json.dumps(value) for name, value in item.items() if name not in ("artifact_key", "document")]
    text = item.get("document", {}).get("S", "")
    try:
        document = json.loads(text)
        history = document.pop("history", [])
        good = dict.fromkeys(one["artifact_key"] for one in history if one["outcome"] == "released")
        texts += [json.dumps(document), *list(good)[:_WAYS_BACK]]
    except (ValueError, KeyError, TypeError, AttributeError):
        texts.append(text)  # no history that can be read: all of it counts
    return {key for each in texts for key in _KEY.findall(each)}


def _judgement(one: Entry, why: str, now: int, grace_seconds: int) -> Judgement:
    if one.state == registry.READY:
        days = (now - one.last_used) // 86400
        return Judgement(one, "keep", why) if why else Judgement(one, "retire", f"not used for {days} days")
    if one.state != registry.RETIRING:
        return Judgement(one, "keep", why or one.state)
    if one.deleting:
        return Judgement(one, "delete", "its objects were being deleted")
    if why:
        return Judgement(one, "restore", why)
    if one.retired_at + grace_seconds > now:
        return Judgement(one, "wait", f"retiring since {(now - one.retired_at) // 60} minutes")
    return Judgement(one, "delete", "retired, and nothing refers to it")


# -- Writes ----------------------------------------------------------------------------------------------------------


def retire(table: str, one: Entry, now: int) -> dict[str, Any]:
    """An UpdateItem request: the first step, if nobody has used it since it was judged."""
    return _request(
        table,
        one,
        "SET #state = :retiring, #retired_at = :now REMOVE #deleting",
        "#state = :ready AND #attempt = :attempt AND #last_used <= :last_used AND attribute_not_exists(#used_by)",
        {"retiring": registry.RETIRING, "ready": registry.READY, "now": now, "last_used": one.last_used},
        ("retired_at", "deleting", "last_used", "used_by"),
    )


def restore(table: str, one: Entry) -> dict[str, Any]:
    """An UpdateItem request: back to what it was, if its objects are all there."""
    return _request(
        table,
        one,
        "SET #state = :ready REMOVE #retired_at",
        "#state = :retiring AND #attempt = :attempt AND attribute_not_exists(#deleting)",
        {"retiring": registry.RETIRING, "ready": registry.READY},
        ("retired_at", "deleting"),
    )


def begin_delete(table: str, one: Entry, now: int) -> dict[str, Any]:
    """An UpdateItem request: the second step, after which objects may go. It holds however often it is made."""
    return _request(
        table,
        one,
        "SET #deleting = :now",
        "#state = :retiring AND #attempt = :attempt AND #retired_at = :retired_at",
        {"retiring": registry.RETIRING, "now": now, "retired_at": one.retired_at},
        ("deleting", "retired_at"),
    )


def forget(table: str, one: Entry) -> dict[str, Any]:
    """A DeleteItem request: the last step, if nobody has taken a lease on the key meanwhile."""
    request = _request(
        table,
        one,
        "",
        "#state = :retiring AND #attempt = :attempt AND attribute_exists(#deleting)",
        {"retiring": registry.RETIRING},
        ("deleting",),
    )
    del request["UpdateExpression"]
    return request


def _request(
    table: str,
    one: Entry,
    expression: str,
    condition: str,
    values: Mapping[str, str | int],
    names: Sequence[str],
) -> dict[str, Any]:
    given = {**values, "attempt": one.attempt}
    return {
        "TableName": table,
        "Key": {"artifact_key": {"S": one.key}},
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in ("state", "attempt", *names)},
        "ExpressionAttributeValues": {
            f":{name}": {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in given.items()
        },
    }
