"""Something was uploaded under a watched prefix: have the model compiled again, once for a whole upload.

Event, from the rule of a watched model: ``{"model": its name, "event": S3's "Object Created" event}``, of which
``time``, ``detail.object.key`` and ``detail.object.sequencer`` are read (Amazon S3 User Guide, "Using EventBridge").
The model is asked for as a deploy declared it last (``model#<name>`` in the registry).

When an upload is whole, only who uploads knows. So there are two ways:

- An object ``_READY`` in the prefix says it: put there last, each time. Whenever it is written an execution starts, and
  what else comes in starts none.
- Without one, all objects of a minute start one execution, which waits until ``quiet_seconds`` after the end of that
  minute. Objects of a later minute start their own, and ``begin_compile`` lets the earlier one go (``settled_at``).
  A pause in an upload that is longer than that lets half of it be compiled.

``_READY`` is no part of the model: it is in no digest, and the job leaves it alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from .. import aws, log, model_request, registry, settings
from . import aws as compile_aws
from . import watching

SETTINGS = settings.load(settings.SourceChanged)


def handler(event: dict[str, Any], _context: object) -> None:
    name, seen = event["model"], event["event"]
    key, at = seen["detail"]["object"]["key"], datetime.fromisoformat(seen["time"])
    item = aws.get_item(registry.get(SETTINGS.registry_table, registry.MODEL + name))
    if not item or "document" not in item:
        log.decision("not declared", model=name)
        return
    document = json.loads(item["document"]["S"])
    source = model_request.parse(document).source
    if source.kind != "s3" or not key.startswith(source.location):
        log.decision("no longer its source", model=name, object=key, source=source.uri)
        return
    ready = source.location + watching.READY
    settles: dict[str, Any] = {}
    begins = int(at.timestamp())
    if key == ready:
        # Every one starts its own: within a minute a second upload may have become whole.
        execution = f"watch-{name}-{seen['detail']['object']['sequencer'][-24:]}"
    elif compile_aws.is_there(source.bucket, ready):
        log.decision("the upload is not whole", model=name, object=key, waits_for=ready)
        return
    else:
        minute = begins // 60
        execution, begins = f"watch-{name}-{minute}", watching.begins(minute, SETTINGS.quiet_seconds)
        settles = {
            "not_before": datetime.fromtimestamp(begins, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "settled_at": (minute + 1) * 60,
        }
    deadline, poll = watching.deadline(begins), SETTINGS.poll_seconds
    asked = {"model": document, "trigger": "watch", **settles, "deadline": deadline, "poll_seconds": poll}
    started = aws.start_execution(SETTINGS.request_machine_arn, execution, asked)
    log.decision("started" if started else "started before", execution=execution, model=name, object=key)
