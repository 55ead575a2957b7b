"""After a try of a compile failed: say what to try next, or record why it failed and free its lease.

Two kinds of event:

- from the compile machine: ``{"compile": the machine's input, "error": {"Error", "Cause"}, "plan": the try that failed
  (see ``tries``), absent when no other may follow}``. From the request machine, when it could not start the compile:
  the same without ``plan``. When what a job left was refused: ``tried``, the try that left it, instead of ``plan``, and
  ``job``, DescribeProcessingJob's answer, since the error says nothing of it;
- from EventBridge, ``Step Functions Execution Status Change`` of a compile execution that FAILED, was ABORTED or
  TIMED_OUT: ``detail`` has ``name``, ``status``, ``input`` (JSON text), perhaps ``error`` and ``cause``. For an
  execution that recorded its failure itself this one comes second, and changes nothing.

Gives ``again``: true with ``plan`` and ``wait_seconds`` when there is another try. Of it nothing is recorded, but the
lease is renewed where a job has run, which may have taken all of it. Else ``recorded``: false when the attempt is no
longer the one that compiles. A ``ready`` item stays ready.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .. import aws, log, model_events, registry, settings
from . import artifact, cost, failure, tries
from . import aws as compile_aws
from .failure import Failure

SETTINGS = settings.load(settings.RecordFailure)
_LOG_LINES = 40


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    wanted, error = _read(event)
    key, attempt, plan = wanted["key"], wanted["attempt"], event.get("plan")
    found = failure.of_job_that_ran(failure.explain(error), event.get("job") or {})
    if plan and (another := _another(wanted, plan, found)):
        log.decision(
            "try again", key=key, execution=wanted["execution_name"], attempt=attempt, kind=found.kind, **another
        )
        return {"key": key, "attempt": attempt, "again": True, **another}

    before = plan or event.get("tried")
    too_small = tries.too_small(before, found.kind, found.host)
    more = tries.larger(_types(wanted), too_small) if found.kind == failure.MEMORY else []
    reason = found.reason or compile_aws.job_log_tail(found.job_name, _LOG_LINES) or failure.fallback(error)
    if found.kind == failure.MEMORY:
        reason = f"{reason}\n{failure.of_memory(found.host, too_small, more)}"
    reason = failure.end_of(reason)
    log_url = failure.log_url(os.environ.get("AWS_REGION", ""), found.job_name)
    usd = cost.total(before, cost.of(found.seconds, cost.price(wanted, found.host)))
    ran = cost.seconds(before, found.seconds)
    known = {"host": found.host, "usd": usd, "job_seconds": ran}
    known |= {"failed_minutes": found.limit_minutes if found.kind == failure.TIME else 0, "too_small": too_small}
    recorded = aws.update_item(
        registry.fail(
            SETTINGS.registry_table,
            key,
            {
                "reason": reason,
                "log_url": log_url,
                "job_name": found.job_name,
                # What stops a mirror is mostly outside it: a hub that is down, a token that somebody mends meanwhile.
                # A host that is too small is not the same next time, as long as there are larger ones.
                "final": found.final and wanted.get("engine") != artifact.MIRROR and not more,
                **{name: value for name, value in known.items() if value},
            },
            attempt=attempt,
            now=int(time.time()),
        )
    )
    facts: dict[str, Any] = {"attempt": attempt, "reason": reason, "log_url": log_url, "host": found.host, "usd": usd}
    facts |= {"job_seconds": ran or None}
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
    ran = found.ended_at > 0
    following = tries.after(plan, found.kind, hosts=_types(wanted), host=found.host, spent=spent, ran=ran)
    if following is None:
        return None
    then, wait = following
    start_by, lease = plan.get("start_by", wanted["start_by"]), wanted.get("lease")  # 0.1.0 wrote no lease
    if ran and lease:
        start_by = min(found.ended_at + wait + lease["start_within"], lease["last_start"])
    if time.time() + wait > start_by:
        return None
    if ran and lease and not _renew(wanted, found.ended_at + wait + lease["seconds"], then["too_small"]):
        return None
    job_seconds = cost.seconds(plan, found.seconds)
    return {"plan": {**then, "start_by": start_by, "job_seconds": job_seconds}, "wait_seconds": wait}


def _renew(wanted: dict[str, Any], expires: int, too_small: int) -> bool:
    """Give this attempt's lease the time of another try; false when it is another's.

    All of it is reckoned from when the job ended, so that who is asked twice gives the same answer.
    """
    return aws.update_item(
        registry.renew_lease(
            SETTINGS.registry_table, wanted["key"], attempt=wanted["attempt"], expires=expires, too_small=too_small
        )
    )


def _types(wanted: dict[str, Any]) -> list[str]:
    return [host["type"] for host in wanted.get("hosts", ())]  # what joins parts has none


def _read(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if "detail" not in event:
        return event["compile"], event["error"]
    detail = event["detail"]
    ended = f"the compile execution {detail['name']} ended as {detail['status']}"
    cause = f"{ended}: {detail['cause']}" if detail.get("cause") else ended
    return json.loads(detail["input"]), {"Cause": cause}
