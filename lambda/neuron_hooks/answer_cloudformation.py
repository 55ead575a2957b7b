"""Last step of the request machine, and what speaks for a request execution that dies: answer CloudFormation.

Two kinds of event:

- from the request machine: ``{"request": as it got it, "outcome": {"status", …}}``; the status is
  ``ready`` (``key``, ``artifact_uri``, ``sdk``, ``compile_seconds``, ``cache``: ``hit`` or ``miss``),
  ``failed`` (``key``, ``reason``, ``log_url``),
  ``running`` (``key``, ``execution``): CloudFormation's hour is nearly over and the compile goes on, or
  ``error`` (``state``, ``error``: ``{"Error", "Cause"}``): a step of the machine itself failed;
- from EventBridge, ``Step Functions Execution Status Change`` of a request execution that FAILED, was ABORTED or
  TIMED_OUT: ``detail`` has ``name``, ``status`` and ``input`` (JSON text). An answer given before stands:
  CloudFormation takes the first.

The resource's physical id is the artifact key, so a new artifact replaces the resource and an old one is left alone.
"""

from __future__ import annotations

import json
from typing import Any

from . import cloudformation, failure, log
from .cloudformation import Request


def handler(event: dict[str, Any], _context: object) -> None:
    if "detail" in event:
        detail = event["detail"]
        request = cloudformation.parse(json.loads(detail["input"])["request"])
        outcome = {"status": "dead", "execution": detail["name"], "ended": detail["status"]}
    else:
        request, outcome = cloudformation.parse(event["request"]), event["outcome"]
    log.decision(
        f"answer {outcome['status']}", key=outcome.get("key", ""), execution=request.execution_name, kind=request.kind
    )
    cloudformation.deliver(request, answer(request, outcome))


def answer(request: Request, outcome: dict[str, Any]) -> bytes:
    """The body for an outcome."""
    status, key = outcome["status"], outcome.get("key", "")
    if status == "ready":
        return cloudformation.success(
            request,
            key,
            {
                "ArtifactKey": key,
                "ArtifactUri": outcome["artifact_uri"],
                "Cache": outcome["cache"],
                "Sdk": outcome["sdk"],
                "CompileSeconds": str(outcome["compile_seconds"]),
            },
        )
    # A failed update keeps the id it had: another would make CloudFormation delete the one that is in use.
    keep = request.physical_id or key
    if status == "failed":
        link = f"Log: {outcome['log_url']}" if outcome.get("log_url") else ""
        return cloudformation.failure(request, keep, "The compile failed:", detail=outcome["reason"], link=link)
    if status == "running":
        return cloudformation.failure(
            request, keep, f"still running: execution {outcome['execution']}; deploy again to join it"
        )
    if status == "dead":
        return cloudformation.failure(
            request,
            keep,
            f"the request execution {outcome['execution']} ended as {outcome['ended']}; deploy again to ask anew",
        )
    return cloudformation.failure(request, keep, "The request failed:", detail=_explain(outcome))


def _explain(outcome: dict[str, Any]) -> str:
    return f"{failure.explain(outcome['error']).reason} (in state {outcome['state']})"
