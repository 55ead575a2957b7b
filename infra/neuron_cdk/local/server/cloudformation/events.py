"""AWS::Events::Rule, mended: at creation ministack takes any pattern and any schedule, and the rule never fires."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import eventbridge

from .. import patching
from .types import Created, NotStabilizedError, Properties

RULE = "AWS::Events::Rule"

_pattern_error = patching.original(eventbridge, "_event_pattern_error")
_is_schedule = patching.original(eventbridge, "_validate_schedule_expression")
_rules = patching.original(eventbridge, "_rules")
_now = patching.original(eventbridge, "_now_ts")


def checked(handler: dict[str, Any]) -> dict[str, Any]:
    """The type's handler, refusing at creation what PutRule refuses."""
    create = handler["create"]

    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        pattern, schedule = properties.get("EventPattern"), properties.get("ScheduleExpression")
        if not pattern and not schedule:
            raise NotStabilizedError("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        reason = _pattern_error(pattern if isinstance(pattern, str) else json.dumps(pattern)) if pattern else None
        if reason:
            raise NotStabilizedError(f"Event pattern is not valid. Reason: {reason}")
        if schedule and not _is_schedule(schedule):
            raise NotStabilizedError("Parameter ScheduleExpression is not valid.")
        name, attributes = create(logical_id, properties, stack)
        # "The countdown begins when you create the rule", after a restart of the server too.
        rule = next(rule for rule in _rules.values() if rule["Arn"] == attributes["Arn"])
        rule["CreationTime"] = _now()
        return name, attributes

    return {**handler, "create": created}
