"""After a try of a compile failed: say what to try next, or record why it failed and free its lease.

Two kinds of event:

- from the compile machine: ``{"compile": the machine's input, "error": {"Error", "Cause"}, "plan": the try that failed
  (see ``tries``), absent when no other may follow}``. From the request machine, when it could not start the compile:
  the same without ``plan``;
- from EventBridge, ``Step Functions Execution Status Change`` of a compile execution that FAILED, was ABORTED or
  TIMED_OUT: ``detail`` has ``name``, ``status``, ``input`` (JSON text), perhaps ``error`` and ``cause``. For an
  execution that recorded its failure itself this one comes second, and changes nothing.

Gives ``again``: true with ``plan`` and ``wait_seconds`` when there is another try, of which nothing is recorded; else
``recorded``: false when the attempt is no longer the one that compiles. A ``ready`` item stays ready.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from . import artifact, aws, cost, failure, log, model_events, registry, settings, tries
from .failure import Failure

SETTINGS = settings.load(settings.RecordFailure)
_LOG_LINES = 40


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    wanted, error = _read(event)
    key, attempt, plan = wanted["key"], wanted["attempt"], event.get("plan")
    found = failure.explain(error)
    if plan and (another := _another(wanted, plan, found)):
        log.decision(
            "try again", key=key, execution=wanted["execution_name"], attempt=attempt, kind=found.kind, **another
        )
        return {"key": key, "attempt": attempt, "again": True, **another}

    reason = failure.end_of(found.reason or aws.job_log_tail(found.job_name, _LOG_LINES) or failure.fallback(error))
    log_url = failure.log_url(os.environ.get("AWS_REGION", ""), found.job_name)
    usd = cost.total(plan, cost.of(found.seconds, cost.price(wanted, found.host)))
    known = {"host": found.host, "usd": usd, "failed_minutes": found.limit_minutes if found.kind == failure.TIME else 0}
    recorded = aws.update_item(
        registry.fail(
            SETTINGS.registry_table,
            key,
            {
                "reason": reason,
                "log_url": log_url,
                "job_name": found.job_name,
                # What stops a mirror is mostly outside it: a hub that is down, a token that somebody mends meanwhile.
                "final": found.final and wanted.get("engine") != artifact.MIRROR,
                **{name: value for name, value in known.items() if value},
            },
            attempt=attempt,
            now=int(time.time()),
        )
    )
    facts: dict[str, Any] = {"attempt": attempt, "reason": reason, "log_url": log_url, "host": found.host, "usd": usd}
    if recorded:
        facts |= {name: wanted.get(name) for name in ("trigger", "engine", "target", "sdk")}
        seconds = round(found.seconds, 3) or None
        model_events.tell(
            "failed",
            key=key,
            execution=wanted["execution_name"],
            model=wanted["model"],
            compile_seconds=seconds,
            **facts,
            kind=found.kind,
        )
    else:
        log.decision("not the current attempt", key=key, execution=wanted["execution_name"], model=wanted["model"])
    return {"key": key, "attempt": attempt, "again": False, "recorded": recorded}


def _another(wanted: dict[str, Any], plan: dict[str, Any], found: Failure) -> dict[str, Any] | None:
    """The next try and the wait before it, if there is one that its lease leaves time for."""
    spent = cost.of(found.seconds, cost.price(wanted, found.host)) or 0.0
    hosts = [host["type"] for host in wanted["hosts"]]
    following = tries.after(plan, found.kind, hosts=hosts, host=found.host, spent=spent)
    if following is None or time.time() + following[1] > wanted["start_by"]:
        return None
    return {"plan": following[0], "wait_seconds": following[1]}


def _read(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if "detail" not in event:
        return event["compile"], event["error"]
    detail = event["detail"]
    ended = f"the compile execution {detail['name']} ended as {detail['status']}"
    cause = f"{ended}: {detail['cause']}" if detail.get("cause") else ended
    return json.loads(detail["input"]), {"Cause": cause}
