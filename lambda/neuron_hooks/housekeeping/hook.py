"""Removes artifacts that nobody uses and uploads that belong to nobody; tells of stuck leases and late compiles.

Event: ``{"task": "watch"}`` every quarter of an hour: counts stuck leases and compiler runs in endpoints, goes on
with what is retiring.
``{"task": "collect"}`` once a day, or ``{"dry_run": true}`` or ``false`` from a person: the same, and judges every
artifact and every upload. With ``dry_run`` nothing is changed.

Gives ``artifacts`` (``key``, ``model``, ``state``, ``last_used``, ``size`` in bytes, ``verdict``, ``why``), ``uploads``
(``prefix``, ``size``, ``verdict``), ``stuck`` (keys), ``dry_run``, ``problems`` and ``more``: true when the time was
not enough, and another call goes on. A verdict is ``keep``, ``retire``, ``wait``, ``restore`` or ``delete`` (see
``retirement``), and instead of the last four ``changed`` where somebody was faster, ``failed``, or ``later``.

:raises RuntimeError: on a schedule, when something could not be done; all else is.

Objects are deleted without their versions: the bucket keeps those for thirty more days, as long as the registry can be
taken back to an earlier time. So a mistake made here, or with this hook's rights, can be undone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from .. import aws, log, model_events, registry, settings
from ..compile import job
from . import aws as housekeeping_aws
from . import retirement, runtime_misses, uploads
from .retirement import Entry, Judgement

SETTINGS = settings.load(settings.Housekeeping)
_STUCK_SECONDS = 3600
_LEFT_SECONDS = 86400
_LOG_SECONDS = 1200  # more than a quarter of an hour: a line that is late, or a run that is, loses nothing
# What one more step takes at most, with a margin.
_ENOUGH_MS = 60_000


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    run = _Run(bool(event.get("dry_run")), getattr(context, "aws_request_id", ""), _clock(context))
    whole = event.get("task") != "watch"
    items = housekeeping_aws.items(SETTINGS.registry_table)
    stored = _stored() if whole else []
    judged = retirement.judge(
        items, now=run.now, keep_seconds=SETTINGS.keep_days * 86400, grace_seconds=SETTINGS.grace_seconds
    )
    stuck = retirement.stuck((one.entry for one in judged), now=run.now, after_seconds=_STUCK_SECONDS)
    _tell_stuck(stuck, run)
    if not run.dry:
        _tell_runtime_misses(items, run)
    size = uploads.sizes(stored)
    told = [
        {**run.told(one), "size": size.get((one.entry.key, one.entry.attempt), 0)}
        for one in sorted(judged, key=lambda one: one.verdict == "retire")
        if whole or one.verdict in ("restore", "delete")
    ]
    left = [_told_upload(one, run) for one in _left(stored, judged, run)]
    log.decision(
        "kept house",
        execution=run.execution,
        task=event.get("task", "collect"),
        dry_run=run.dry,
        artifacts=len(judged),
        stuck=len(stuck),
        uploads=len(left),
        more=run.more,
        problems=len(run.problems),
    )
    if run.problems and "task" in event:  # nobody reads a schedule's answer: let the function fail
        raise RuntimeError("; ".join(run.problems[:5]))
    return {
        "dry_run": run.dry,
        "more": run.more,
        "problems": run.problems,
        "artifacts": told,
        "uploads": left,
        "stuck": [one.key for one in stuck],
    }


class _Run:
    """One run: what time it is, and what it does to artifacts."""

    def __init__(self, dry: bool, execution: str, has_time: Callable[[], bool]) -> None:
        self.dry, self.execution, self.has_time = dry, execution, has_time
        self.now = int(time.time())
        self.more = False
        self.problems: list[str] = []

    def outcome(self, verdict: str, do: Callable[[], bool], *, key: str, **facts: str) -> str:
        """Do it; gives the verdict, or what came between. One that fails does not keep the others from being done."""
        self.more = self.more or not self.has_time()
        if self.more:
            return "later"
        try:
            outcome = verdict if do() else "changed"
        except Exception as error:
            outcome = "failed"
            self.problems.append(f"{key}: {type(error).__name__}: {error}")
            facts = {**facts, "error": str(error)}
        log.decision(f"{verdict}: {outcome}", key=key, execution=self.execution, **facts)
        return outcome

    def told(self, judged: Judgement) -> dict[str, Any]:
        """What became of an artifact, after it was done."""
        one = judged.entry
        verdict: str = judged.verdict
        if verdict in ("retire", "restore", "delete") and not self.dry:
            verdict = self.outcome(verdict, lambda: self._do(judged), key=one.key, model=one.model, why=judged.why)
        known = {"key": one.key, "model": one.model, "state": one.state, "last_used": one.last_used}
        return {**known, "verdict": verdict, "why": judged.why}

    def _do(self, judged: Judgement) -> bool:
        table, one = SETTINGS.registry_table, judged.entry
        if judged.verdict == "retire":
            return aws.update_item(retirement.retire(table, one, self.now))
        if judged.verdict == "restore":
            return aws.update_item(retirement.restore(table, one))
        if not aws.update_item(retirement.begin_delete(table, one, self.now)):
            return False
        request = job.request_key(one.key, one.attempt)
        for prefix in (job.artifact_prefix(one.key, one.attempt), request[: request.rindex("/") + 1]):
            housekeeping_aws.delete_objects(SETTINGS.artifact_bucket, prefix)
        return housekeeping_aws.delete_item(retirement.forget(table, one))


def _clock(context: Any) -> Callable[[], bool]:
    if context is None:
        return lambda: True
    return lambda: context.get_remaining_time_in_millis() > _ENOUGH_MS


def _stored() -> list[uploads.Upload]:
    return uploads.group(
        one for prefix in uploads.PREFIXES for one in housekeeping_aws.objects(SETTINGS.artifact_bucket, prefix)
    )


def _left(stored: list[uploads.Upload], judged: list[Judgement], run: _Run) -> list[uploads.Upload]:
    entries = {one.entry.key: one.entry for one in judged}
    return [
        one for one in stored if uploads.is_left(one, entries.get(one.key), now=run.now, after_seconds=_LEFT_SECONDS)
    ]


def _told_upload(one: uploads.Upload, run: _Run) -> dict[str, Any]:
    def delete() -> bool:
        # The registry was read before the bucket: somebody may have published this since.
        item = aws.get_item(registry.get(SETTINGS.registry_table, one.key))
        now: Entry | None = retirement.entry(item) if item else None
        if not uploads.is_left(one, now, now=run.now, after_seconds=_LEFT_SECONDS):
            return False
        housekeeping_aws.delete_objects(SETTINGS.artifact_bucket, one.prefix)
        return True

    verdict = "delete"
    if not run.dry:
        verdict = run.outcome(verdict, delete, key=one.key, attempt=one.attempt, prefix=one.prefix)
    return {"prefix": one.prefix, "size": one.size, "verdict": verdict}


def _tell_stuck(stuck: list[Entry], run: _Run) -> None:
    """A line each, and the number, 0 too: an alarm needs to see that it is over."""
    for one in stuck:
        log.decision(
            "stuck lease",
            key=one.key,
            execution=run.execution,
            model=one.model,
            attempt=one.attempt,
            holder=one.lease_owner,
            lease_expired=one.lease_expires,
        )
    if not run.dry:
        print(json.dumps(model_events.measured({"StuckLeases": len(stuck)}, "", run.now)), flush=True)


def _tell_runtime_misses(items: Sequence[retirement.Item], run: _Run) -> None:
    """How often endpoints have compiled of late, 0 too. A log that cannot be read hides no other."""
    count = 0
    for endpoint in runtime_misses.endpoints(items):
        try:
            runs = housekeeping_aws.compiler_runs(endpoint, runtime_misses.PATTERN, run.now - _LOG_SECONDS)
        except Exception as error:
            run.problems.append(f"endpoint {endpoint}: {type(error).__name__}: {error}")
            continue
        if runs:
            log.decision("compiled at run time", execution=run.execution, endpoint=endpoint, lines=runs)
        count += runs
    print(json.dumps(model_events.measured({"RuntimeMisses": count}, "", run.now)), flush=True)
