"""The function behind ``Custom::NeuronCompiledModel``: it starts a request execution, which answers CloudFormation.

Event: CloudFormation's request object. ``ResourceProperties.Model`` is what ``model_request`` reads.

- ``Create``, ``Update``: starts the request machine with ``{"request", "model", "deadline", "poll_seconds"}``, named
  after the request's id: delivered twice, it starts once. What cannot be read is answered with ``FAILED`` at once.
- ``Delete``: answered with ``SUCCESS`` at once. Artifacts are shared, and a compile that others may wait for goes on.
"""

from __future__ import annotations

import time
from typing import Any

from . import aws, cloudformation, log, model_request, settings

SETTINGS = settings.load(settings.CompiledModel)


def handler(event: dict[str, Any], _context: object) -> None:
    request = cloudformation.parse(event)
    if request.kind == "Delete":
        log.decision("nothing to delete", key=request.physical_id, execution=request.execution_name)
        cloudformation.deliver(request, cloudformation.success(request, request.physical_id, {}))
        return
    try:
        model = event["ResourceProperties"].get("Model") or {}
        model_request.parse(model)
        started = aws.start_execution(
            SETTINGS.request_machine_arn,
            request.execution_name,
            {
                "request": request.to_json(),
                "model": model,
                "deadline": int(time.time()) + SETTINGS.deadline_seconds,
                "poll_seconds": SETTINGS.poll_seconds,
            },
        )
    except Exception as error:  # nobody else would answer, and CloudFormation would wait an hour
        log.decision("refused", execution=request.execution_name, error=f"{type(error).__name__}: {error}")
        cloudformation.deliver(request, cloudformation.failure(request, "", "The request failed:", detail=str(error)))
        return
    log.decision("started" if started else "started before", execution=request.execution_name, model=model["Name"])
