"""What starts releases of one target: CloudFormation, new artifacts, and what became of executions that died.

Three kinds of event:

- CloudFormation's request for ``Custom::NeuronRelease`` (``Target``, ``Declaration``, ``Model``, ``ArtifactKey``,
  ``ArtifactUri``): starts an execution named after the request, which answers at its end. ``Delete`` of a resource that
  another physical id stands for, and what cannot be started, is answered at once.
- EventBridge's ``Neuron Artifact Ready`` or ``Neuron Artifact Hit`` of the target's model, when a person or a watched
  source asked for it (a deploy releases what it asks for itself): starts an execution named after the event.
- EventBridge's ``Step Functions Execution Status Change`` of an execution that FAILED, was ABORTED or TIMED_OUT: starts
  one that takes back what that was at, gives its lease back and answers whom it owed an answer.

Delivered twice, each starts once.
"""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

from .. import aws, cloudformation, log, model_events, settings

SETTINGS = settings.load(settings.ReleaseStart)
_REPAIR = "repair-"
_MOST_NAME = 80  # of an execution's name

Event = dict[str, Any]


def handler(event: Event, _context: object) -> None:
    if "RequestType" in event:
        _stack(event)
    elif event.get("source") == model_events.SOURCE:
        _artifact(event)
    else:
        _died(event["detail"])


def _stack(event: Event) -> None:
    request, properties = cloudformation.parse(event), event["ResourceProperties"]
    if request.kind == "Delete" and request.physical_id != SETTINGS.target:  # a Create that never got as far
        cloudformation.deliver(request, cloudformation.success(request, request.physical_id, {}))
        return
    try:
        _start(
            request.execution_name,
            {
                "trigger": "delete" if request.kind == "Delete" else "deploy",
                "declaration": properties["Declaration"],
                "model": properties["Model"],
                "artifact_key": properties["ArtifactKey"],
                "artifact_uri": properties["ArtifactUri"],
                "by": "deploy",
                "request": request.to_json(),
                "deadline": int(time.time()) + SETTINGS.deadline_seconds,
            },
        )
    except Exception as error:  # nobody else would answer, and CloudFormation would wait an hour
        log.decision("refused", execution=request.execution_name, error=f"{type(error).__name__}: {error}")
        reason = str(error) or type(error).__name__
        body = cloudformation.failure(request, SETTINGS.target, "The release was not started:", detail=reason)
        cloudformation.deliver(request, body)


def _artifact(event: Event) -> None:
    detail = event["detail"]
    if detail["model"] != SETTINGS.model or detail.get("trigger") not in ("person", "watch"):
        log.decision("no release", key=detail["key"], model=detail["model"], trigger=detail.get("trigger"))
        return
    _start(
        f"artifact-{event['id']}",
        {
            "trigger": "artifact",
            "model": detail["model"],
            "artifact_key": detail["key"],
            "artifact_uri": detail["artifact_uri"],
            "asked_at": _seconds(event["time"]),
            "by": detail["trigger"],
        },
    )


def _died(detail: Event) -> None:
    name, status, asked = detail["name"], detail["status"], json.loads(detail["input"])
    reason = f"the release's execution {name} ended as {status}"
    if detail.get("cause"):
        reason = f"{reason}: {detail['cause']}"
    rest = {each: asked[each] for each in ("request", "deadline") if each in asked}
    if not name.startswith(_REPAIR):
        started = {"trigger": "repair", "died": name, "reason": reason, **rest}
        _start(f"{_REPAIR}{re.sub(r'[^A-Za-z0-9_-]', '-', name)}"[:_MOST_NAME], started)
        return
    # Nothing repairs the repair: the lease runs out, and the next release brings the target to where it should be.
    log.decision("not repaired", execution=name, reason=reason)
    if "request" in asked:
        request = cloudformation.parse(asked["request"])
        cloudformation.deliver(request, cloudformation.failure(request, SETTINGS.target, reason))


def _start(name: str, asked: Event) -> None:
    given = {"target": SETTINGS.target, **asked}
    started = aws.patiently(lambda: aws.start_execution(SETTINGS.release_machine_arn, name, given))
    log.decision(
        "release asked for" if started else "asked for before",
        key=asked.get("artifact_key", ""),
        execution=name,
        target=SETTINGS.target,
        trigger=asked["trigger"],
    )


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp())
