"""Last step of the request machine, and what speaks for a request execution that dies: answer CloudFormation.

Two kinds of event:

- from the request machine: ``{"request", "model": as it got them, "outcome": {"status", …}}``; the status is
  ``ready`` (``key``, ``artifact_uri``, ``sdk``, ``compile_seconds``, ``cache``: ``hit`` or ``miss``),
  ``failed`` (``key``, ``reason``, ``log_url``),
  ``running`` (``key``, ``execution``): CloudFormation's hour is nearly over and the compile goes on, or
  ``error`` (``state``, ``error``: ``{"Error", "Cause"}``): a step of the machine itself failed;
- from EventBridge, ``Step Functions Execution Status Change`` of a request execution that FAILED, was ABORTED or
  TIMED_OUT: ``detail`` has ``name``, ``status`` and ``input`` (JSON text). An answer given before stands:
  CloudFormation takes the first.

The resource's physical id is the artifact key, so a new artifact replaces the resource and an old one is left alone.

Before the answer is given, the registry is told: who has the artifact now, and what the model is, so that it can be
asked for by its name. Called twice it says so once. When the registry cannot be told of an artifact, nothing is
answered and the machine calls again: what a stack relies on must not expire. A failure is answered in any case.
"""

from __future__ import annotations

import json
import time
from typing import Any

from .. import aws, cloudformation, log, registry, settings
from ..cloudformation import Request
from . import failure

SETTINGS = settings.load(settings.AnswerCloudFormation)


class NoLongerThereError(Exception):
    """The artifact has gone between being found and being given."""


def handler(event: dict[str, Any], _context: object) -> None:
    if "detail" in event:
        detail = event["detail"]
        given = json.loads(detail["input"])
        if "request" not in given:  # nobody waits for an answer: a person or a watch asked, or another request
            log.decision("died", execution=detail["name"], ended=detail["status"])
            return
        outcome = {"status": "dead", "execution": detail["name"], "ended": detail["status"]}
    else:
        given, outcome = event, event["outcome"]
    request, model = cloudformation.parse(given["request"]), given.get("model") or {}
    _tell_registry(request, model, outcome)
    log.decision(
        f"answer {outcome['status']}", key=outcome.get("key", ""), execution=request.execution_name, kind=request.kind
    )
    cloudformation.deliver(request, answer(request, outcome))


def _tell_registry(request: Request, model: dict[str, Any], outcome: dict[str, Any]) -> None:
    table, name, document = SETTINGS.registry_table, str(model.get("Name", "")), json.dumps(model, sort_keys=True)
    if outcome["status"] == "ready":
        key = outcome["key"]
        if not aws.update_item(registry.use(table, key, request.resource, int(time.time()))):
            raise NoLongerThereError(f"artifact {key} was removed while the request for it was answered")
        if name:  # an execution that a version before this one started says no model
            aws.update_item(registry.declare(table, name, document=document, user=f"{request.resource}|{key}"))
    elif name:
        try:
            aws.update_item(registry.declare(table, name, document=document, user=""))
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            log.decision("model not declared", execution=request.execution_name, model=name, error=problem)


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
