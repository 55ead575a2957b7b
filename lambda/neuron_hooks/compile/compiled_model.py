"""The function behind ``Custom::NeuronCompiledModel``: it starts a request execution, which answers CloudFormation.

Event: CloudFormation's request object. ``ResourceProperties.Model`` is what ``model_request`` reads.

- ``Create``, ``Update``: starts the request machine with ``{"request", "model", "trigger", "force", "deadline",
  "poll_seconds"}``, named after the request's id: delivered twice, it starts once. What cannot be read is answered with
  ``FAILED`` at once.
- ``Delete``: takes the resource out of the artifact's users, and is answered with ``SUCCESS``. Artifacts are shared, so
  nothing is deleted, and a compile that others may wait for goes on.

A Delete succeeds even when the registry cannot be written, which is tried for half a minute: CloudFormation would try
it three times more, then leave the whole stack in ``DELETE_FAILED``, for a line in a table. What is left is a user that
is gone, which keeps an artifact from expiring; that errs on the safe side, and the log has it.
"""

from __future__ import annotations

import time
from typing import Any

from .. import aws, cloudformation, log, model_request, registry, settings
from ..cloudformation import Request

SETTINGS = settings.load(settings.CompiledModel)


def handler(event: dict[str, Any], _context: object) -> None:
    request = cloudformation.parse(event)
    if request.kind == "Delete":
        _release(request, str((event.get("ResourceProperties", {}).get("Model") or {}).get("Name", "")))
        cloudformation.deliver(request, cloudformation.success(request, request.physical_id, {}))
        return
    try:
        model = event["ResourceProperties"].get("Model") or {}
        model_request.parse(model)
        started = _start(request, model)
    except Exception as error:  # nobody else would answer, and CloudFormation would wait an hour
        log.decision("refused", execution=request.execution_name, error=f"{type(error).__name__}: {error}")
        cloudformation.deliver(request, cloudformation.failure(request, "", "The request failed:", detail=str(error)))
        return
    log.decision("started" if started else "started before", execution=request.execution_name, model=model["Name"])


def _start(request: Request, model: dict[str, Any]) -> bool:
    asked = {
        "request": request.to_json(),
        "model": model,
        "trigger": "deploy",
        "force": False,
        "deadline": int(time.time()) + SETTINGS.deadline_seconds,
        "poll_seconds": SETTINGS.poll_seconds,
    }
    return aws.patiently(lambda: aws.start_execution(SETTINGS.request_machine_arn, request.execution_name, asked))


def _release(request: Request, model: str) -> None:
    """Take the resource, as it was with this artifact, out of the artifact and of its model."""
    key = request.physical_id

    def write() -> None:
        aws.update_item(registry.release(SETTINGS.registry_table, key, request.resource))
        if model:
            aws.update_item(registry.undeclare(SETTINGS.registry_table, model, f"{request.resource}|{key}"))

    try:
        aws.patiently(write)
        log.decision("no longer used", key=key, execution=request.execution_name, model=model)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        log.decision("user left behind", key=key, execution=request.execution_name, model=model, error=problem)
