"""First step of the request machine: is the artifact there, is someone making it, or is it ours to make?

Event: the request machine's input (``model``; ``request`` when CloudFormation asks, ``trigger``, ``force``), with
``execution`` (that execution's name), ``asked_at`` (when it started, seconds since the epoch) and ``obtained`` (what
became of the ``needs`` of the call before). Gives ``key``, ``sdk`` and ``status``:

- ``ready``: and ``artifact_uri``, ``compile_seconds``, perhaps ``usd``; the hit is counted, once for an execution;
- ``failed``: it failed before for a reason that does not go away by itself, or something it needs did. ``reason`` says
  why and how to try again, ``log_url`` where to read more. Nothing is started;
- ``leased``: this execution holds the lease, from this call or from one before it with the same event, and must start
  the compile machine with ``compile`` (see ``job.compile_input``);
- ``waiting``: another holds it; ``compile`` holds ``execution_name`` alone, to say who;
- ``needs``: ``needs`` are properties of models that must be artifacts first (see ``needs``);
- ``running``: what came of a need, to be handed on; or files came in after ``settled_at`` (seconds since the epoch,
  where the request has it), and the execution that they started will do it (see ``source_changed``);
- ``error``: what came of a need, to be handed on.

A resource that asks again for what it has gets it even when the source cannot be read any more: that is a rollback, and
it must not fail because a model was deleted, or because the pipeline may read the new source and no longer the old one.

:raises SourceError: the model's files are not there, or S3 cannot tell them apart.
:raises NeedError: what was needed has been obtained, and is not there.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import aws, cloudformation, log, model_events, model_request, registry, settings
from ..model_request import ModelRequest, Source
from . import artifact, job, needs, watching
from . import aws as compile_aws
from .artifact import SourceFile

SETTINGS = settings.load(settings.BeginCompile)
_RACES = 3


@dataclass(frozen=True)
class _Asker:
    """Who asks. ``forced_at``: since when whatever failed is to be tried again, or None."""

    execution: str
    trigger: str
    forced_at: int | None
    obtained: list[dict[str, Any]]


@dataclass(frozen=True)
class _Origin:
    """A model's files: where they lie now, their digest, and what is known of each where S3 tells."""

    source: Source
    digest: str
    files: tuple[SourceFile, ...] = ()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    model = model_request.parse(event["model"])
    asked_at = int(event.get("asked_at") or time.time())
    asker = _Asker(
        event["execution"],
        event.get("trigger") or "deploy",
        asked_at if event.get("force") else None,
        event.get("obtained") or [],
    )
    if outcome := needs.unmet(asker.obtained):
        told = {name: outcome[name] for name in ("status", "reason") if name in outcome}
        log.decision("need not met", execution=asker.execution, model=model.name, **told)
        return {"key": "", "sdk": model.sdk, **outcome}
    try:
        origin = _origin(model)
    except artifact.SourceError:
        if has := _what_it_has(event, model):
            return has
        raise
    if origin is None:
        return _need([needs.mirror_properties(event["model"], model)], "", model, asker)
    if not watching.is_settled((file.modified for file in origin.files), event.get("settled_at")):
        log.decision("files still come in", execution=asker.execution, model=model.name)
        return {"key": "", "sdk": model.sdk, "status": "running", "execution": "the one that a later file started"}
    key = artifact.key(model, origin.digest)
    for _ in range(_RACES):
        entry = _look(key)
        if entry and entry.is_remembered(timeout_minutes=model.timeout_minutes, forced_at=asker.forced_at):
            return _remembered(key, model, entry, asker)
        if entry and not entry.is_free(
            int(time.time()), timeout_minutes=model.timeout_minutes, forced_at=asker.forced_at
        ):
            return _found(key, model, entry, origin, asker)
        join: list[dict[str, Any]] = []
        if needs.is_split(model):
            missing, join, failed = _parts(event["model"], model, origin, asker)
            if failed:
                return {**failed, "key": key}
            if missing:
                return _need(missing, key, model, asker)
        for part in join:  # what is to be joined is in use: housekeeping leaves it alone
            aws.update_item(registry.touch(SETTINGS.registry_table, part["key"], int(time.time())))
        attempt, expires = uuid.uuid4().hex[:8], _expires(model)
        if _take_lease(key, model, origin, entry, attempt=attempt, asker=asker, expires=expires):
            _tell_lease(key, model, attempt, asker)
            return _leased(key, model, origin, attempt, asker, expires, join, entry.too_small if entry else 0)
    raise RuntimeError(f"the registry refused a lease for {key} {_RACES} times, and others hold it no longer")


def _origin(model: ModelRequest) -> _Origin | None:
    """The source, or ``None`` when its mirror must be made first.

    :raises SourceError: it is not there.
    """
    if model.engine == artifact.MIRROR:
        return _Origin(model.source, "")
    if model.source.kind != "huggingface":
        digest, files = compile_aws.source(model.source)
        return _Origin(model.source, digest, files)
    entry = _look(artifact.mirror_key(model.source))
    if entry is None or entry.state != registry.READY:
        return None
    return _Origin(needs.mirrored(entry.artifact_uri), entry.content_digest)


def _found(key: str, model: ModelRequest, entry: registry.Entry, origin: _Origin, asker: _Asker) -> dict[str, Any]:
    """What to do about an item that is ready, or that somebody holds."""
    if entry.state == registry.READY:
        aws.update_item(
            registry.count_hit(
                SETTINGS.registry_table,
                key,
                asked=artifact.asked(model),
                execution=asker.execution,
                now=int(time.time()),
            )
        )
        _tell("hit", key, model, asker, attempt=entry.attempt, artifact_uri=entry.artifact_uri)
        return _ready(key, model, entry)
    if entry.lease_owner == asker.execution:
        log.decision("leased before", key=key, execution=asker.execution, attempt=entry.attempt, model=model.name)
        join = _parts({}, model, origin, asker)[1] if needs.is_split(model) else []
        return _leased(key, model, origin, entry.attempt, asker, entry.lease_expires, join, entry.too_small)
    _tell("waiting", key, model, asker, attempt=entry.attempt, holder=entry.lease_owner)
    execution = {"execution_name": job.execution_name(key, entry.attempt)}
    return {"key": key, "attempt": entry.attempt, "sdk": model.sdk, "status": "waiting", "compile": execution}


def _ready(key: str, model: ModelRequest, entry: registry.Entry) -> dict[str, Any]:
    return {
        "key": key,
        "attempt": entry.attempt,
        "sdk": model.sdk,
        "status": "ready",
        "artifact_uri": entry.artifact_uri,
        "compile_seconds": entry.compile_seconds,
        **({} if entry.usd is None else {"usd": entry.usd}),
        **({"log_url": entry.log_url} if entry.log_url else {}),
    }


def _remembered(key: str, model: ModelRequest, entry: registry.Entry, asker: _Asker) -> dict[str, Any]:
    _tell("remembered", key, model, asker, attempt=entry.attempt, reason=entry.reason, log_url=entry.log_url)
    when = f"{datetime.fromtimestamp(entry.failed_at, UTC):%Y-%m-%d %H:%M} UTC"
    longer = f", give it more than {entry.failed_minutes} minutes (timeout_minutes)" if entry.failed_minutes else ""
    reason = (
        f"{entry.reason}\n(It failed so at {when}, and was not run again. Change the model or how it is compiled"
        f"{longer}, or try the same again: neuron-cdk models compile {model.name} --force)"
    )
    return {"key": key, "sdk": model.sdk, "status": "failed", "reason": reason, "log_url": entry.log_url}


def _need(missing: list[dict[str, Any]], key: str, model: ModelRequest, asker: _Asker) -> dict[str, Any]:
    needs.check_progress(missing, asker.obtained)
    if not asker.obtained:
        _tell("miss", key, model, asker, engine=model.engine, target=model.target, sdk=model.sdk)
    log.decision("needs", key=key, execution=asker.execution, needs=[need["Need"] for need in missing])
    return {"key": key, "sdk": model.sdk, "status": "needs", "needs": missing}


def _parts(
    properties: dict[str, Any], model: ModelRequest, origin: _Origin, asker: _Asker
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any] | None]:
    """The parts that are not there, those that are, and the outcome when one of them is not to be tried again."""
    missing: list[dict[str, Any]] = []
    ready: list[dict[str, Any]] = []
    for part in needs.parts(model):
        key = artifact.key(part, origin.digest)
        entry = _look(key)
        if entry and entry.state == registry.READY:
            ((batch, length),) = part.shapes
            place = {"key": key, "attempt": entry.attempt, "artifact_uri": entry.artifact_uri}
            ready.append({**place, "batch_size": batch, "sequence_length": length})
            continue
        if entry and entry.is_remembered(timeout_minutes=model.timeout_minutes, forced_at=asker.forced_at):
            failed = _remembered(key, model, entry, asker)
            return missing, ready, {**failed, "reason": f"{needs.shape(part)}: {failed['reason']}"}
        missing.append(needs.part_properties(properties, part))
    return missing, ready, None


def _look(key: str) -> registry.Entry | None:
    item = aws.get_item(registry.get(SETTINGS.registry_table, key))
    return registry.entry(item) if item else None


def _what_it_has(event: dict[str, Any], model: ModelRequest) -> dict[str, Any] | None:
    """An artifact that the resource stands for, or stood for, if this very request made it or found it.

    An update that another resource's failure takes back has the new artifact as physical id. The old one is the
    resource's still: CloudFormation sends Delete for it when all has gone well.
    """
    request = event.get("request") or {}
    if not request.get("PhysicalResourceId"):
        return None
    declared = aws.get_item(registry.get(SETTINGS.registry_table, f"{registry.MODEL}{model.name}"))
    resource = cloudformation.parse(request).resource
    for key in dict.fromkeys([request["PhysicalResourceId"], *registry.artifacts_of(declared or {}, resource)]):
        entry = _look(key)
        if entry and entry.state == registry.READY and artifact.asked(model) in entry.asked:
            log.decision("source gone, artifact kept", key=key, execution=event["execution"], model=model.name)
            return _ready(key, model, entry)
    return None


def _expires(model: ModelRequest) -> int:
    return int(time.time()) + model.timeout_minutes * 60 + SETTINGS.lease_seconds


def _take_lease(
    key: str,
    model: ModelRequest,
    origin: _Origin,
    seen: registry.Entry | None,
    *,
    attempt: str,
    asker: _Asker,
    expires: int,
) -> bool:
    # The request comes first: a lease without one would have to run out before anybody could compile.
    document = job.request_document(model, key, attempt, origin.source, origin.files)
    aws.write_json(SETTINGS.artifact_bucket, job.request_key(key, attempt), document)
    return aws.update_item(
        registry.take_lease(
            SETTINGS.registry_table,
            key,
            model,
            seen=seen,
            asked=artifact.asked(model),
            attempt=attempt,
            owner=asker.execution,
            now=int(time.time()),
            expires=expires,
        )
    )


def _tell_lease(key: str, model: ModelRequest, attempt: str, asker: _Asker) -> None:
    facts = {"attempt": attempt, "engine": model.engine, "target": model.target, "sdk": model.sdk}
    if not asker.obtained:  # else it was told when the first need was found
        _tell("miss", key, model, asker, **facts)
    _tell("started", key, model, asker, **facts)


def _tell(name: model_events.Name, key: str, model: ModelRequest, asker: _Asker, **facts: Any) -> None:
    model_events.tell(name, key=key, execution=asker.execution, model=model.name, trigger=asker.trigger, **facts)


def _leased(
    key: str,
    model: ModelRequest,
    origin: _Origin,
    attempt: str,
    asker: _Asker,
    expires: int,
    join: list[dict[str, Any]],
    too_small: int,
) -> dict[str, Any]:
    work = job.compile_input(
        model,
        key,
        attempt,
        SETTINGS,
        source=origin.source,
        trigger=asker.trigger,
        expires=expires,
        too_small=too_small,
        join=join,
    )
    return {"status": "leased", "key": key, "attempt": attempt, "sdk": model.sdk, "compile": work}
