"""First step of the request machine: is the artifact there, is someone making it, or is it ours to make?

Event: the request machine's input, of which ``model`` and ``request`` are read, with ``execution``, that execution's
name. Gives
``key``, ``attempt``, ``sdk`` and ``status``:

- ``ready``: and ``artifact_uri`` and ``compile_seconds``; the hit is counted, once for an execution;
- ``leased``: this execution holds the lease, from this call or from one before it with the same event, and must start
  the compile machine with ``compile`` (see ``job.compile_input``);
- ``waiting``: another holds it; ``compile`` holds ``execution_name`` alone, to say who.

An item that is ``failed`` is tried again.

A resource that asks again for what it has gets it even when the source cannot be read any more: that is a rollback, and
it must not fail because a model was deleted, or because the pipeline may read the new source and no longer the old one.

:raises SourceError: the model's files are not there, or S3 cannot tell them apart.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from . import artifact, aws, job, log, model_request, registry, settings
from .model_request import ModelRequest

SETTINGS = settings.load(settings.BeginCompile)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    execution: str = event["execution"]
    model = model_request.parse(event["model"])
    try:
        key = artifact.key(model, aws.source_digest(model.source))
    except artifact.SourceError:
        if has := _what_it_has(event, model):
            return has
        raise
    now = int(time.time())

    entry = _look(key)
    if entry is None or entry.is_free(now):
        attempt = uuid.uuid4().hex[:8]
        if _take_lease(key, model, attempt=attempt, owner=execution, now=now):
            log.decision("leased", key=key, execution=execution, attempt=attempt, model=model.name)
            return _leased(model, key, attempt)
        entry = _look(key)
    if entry is None:
        raise RuntimeError(f"the registry refused a lease for {key} and has no item of it")

    seen = {"key": key, "attempt": entry.attempt, "sdk": model.sdk}
    if entry.state == registry.READY:
        counted = aws.update_item(
            registry.count_hit(SETTINGS.registry_table, key, asked=artifact.asked(model), execution=execution)
        )
        log.decision("hit", key=key, execution=execution, attempt=entry.attempt, model=model.name, counted=counted)
        found = {"artifact_uri": entry.artifact_uri, "compile_seconds": entry.compile_seconds}
        return {**seen, "status": "ready", **found}
    if entry.lease_owner == execution:
        log.decision("leased before", key=key, execution=execution, attempt=entry.attempt, model=model.name)
        return _leased(model, key, entry.attempt)
    log.decision("waiting", key=key, execution=execution, attempt=entry.attempt, holder=entry.lease_owner)
    return {**seen, "status": "waiting", "compile": {"execution_name": job.execution_name(key, entry.attempt)}}


def _look(key: str) -> registry.Entry | None:
    item = aws.get_item(registry.get(SETTINGS.registry_table, key))
    return registry.entry(item) if item else None


def _what_it_has(event: dict[str, Any], model: ModelRequest) -> dict[str, Any] | None:
    """The artifact the resource stands for, if this very request made it or found it."""
    key = event["request"].get("PhysicalResourceId", "")
    entry = _look(key) if key else None
    if entry is None or entry.state != registry.READY or artifact.asked(model) not in entry.asked:
        return None
    log.decision("source gone, artifact kept", key=key, execution=event["execution"], model=model.name)
    found = {"artifact_uri": entry.artifact_uri, "compile_seconds": entry.compile_seconds}
    return {"key": key, "attempt": entry.attempt, "sdk": model.sdk, "status": "ready", **found}


def _take_lease(key: str, model: ModelRequest, *, attempt: str, owner: str, now: int) -> bool:
    # The request comes first: a lease without one would have to run out before anybody could compile.
    aws.write_json(SETTINGS.artifact_bucket, job.request_key(key, attempt), job.request_document(model, key, attempt))
    expires = now + model.timeout_minutes * 60 + SETTINGS.lease_seconds
    return aws.update_item(
        registry.take_lease(
            SETTINGS.registry_table,
            key,
            model,
            asked=artifact.asked(model),
            attempt=attempt,
            owner=owner,
            now=now,
            expires=expires,
        )
    )


def _leased(model: ModelRequest, key: str, attempt: str) -> dict[str, Any]:
    return {
        "status": "leased",
        "key": key,
        "attempt": attempt,
        "sdk": model.sdk,
        "compile": job.compile_input(model, key, attempt, SETTINGS),
    }
