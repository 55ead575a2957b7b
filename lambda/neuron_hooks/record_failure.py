"""Record why a compile failed and free its lease, so that the next request may try again.

Two kinds of event:

- from the compile machine: ``{"compile": the machine's input, "error": {"Error", "Cause"}}``;
- from EventBridge, ``Step Functions Execution Status Change`` of a compile execution that FAILED, was ABORTED or
  TIMED_OUT: ``detail`` has ``name``, ``status``, ``input`` (JSON text), perhaps ``error`` and ``cause``. For an
  execution that recorded its failure itself this one comes second, and changes nothing.

Gives ``recorded``: false when the attempt is no longer the one that compiles. A ``ready`` item stays ready.
"""

from __future__ import annotations

import json
import os
from typing import Any

from . import aws, failure, log, registry, settings

SETTINGS = settings.load(settings.RecordFailure)
_LOG_LINES = 40


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    wanted, error = _read(event)
    key, attempt = wanted["key"], wanted["attempt"]
    found = failure.explain(error)
    reason = found.reason or aws.job_log_tail(found.job_name, _LOG_LINES) or failure.fallback(error)
    recorded = aws.update_item(
        registry.fail(
            SETTINGS.registry_table,
            key,
            attempt=attempt,
            reason=failure.end_of(reason),
            log_url=failure.log_url(os.environ.get("AWS_REGION", ""), found.job_name),
            job_name=found.job_name,
        )
    )
    log.decision(
        "failed" if recorded else "not the current attempt",
        key=key,
        execution=wanted["execution_name"],
        attempt=attempt,
        model=wanted["model"],
        reason=reason,
    )
    return {"key": key, "attempt": attempt, "recorded": recorded}


def _read(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if "detail" not in event:
        return event["compile"], event["error"]
    detail = event["detail"]
    ended = f"the compile execution {detail['name']} ended as {detail['status']}"
    cause = f"{ended}: {detail['cause']}" if detail.get("cause") else ended
    return json.loads(detail["input"]), {"Cause": cause}
