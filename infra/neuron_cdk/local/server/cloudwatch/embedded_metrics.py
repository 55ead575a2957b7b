"""CloudWatch's embedded metric format: metrics out of log events, which ministack keeps as text alone.

A log event that is one JSON object with ``_aws.CloudWatchMetrics`` records each metric of each directive under each of
its dimension sets, the empty one too ("Specification: Embedded metric format", CloudWatch user guide). Events of every
kind come by: functions' output, PutLogEvents, containers'. They are recorded at the moment they come, by the server's
clock: what prints them goes by real time, which the clock may be days ahead of.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ministack.services import cloudwatch_logs

from .. import patching
from ..clock import clock
from . import metrics

logger = logging.getLogger("neuron_cdk.local")

_append = patching.original(cloudwatch_logs, "_append_log_events")


def install() -> None:
    patching.replace(cloudwatch_logs, "_append_log_events", _append_and_record)


def _append_and_record(stream: Any, events: Iterable[Mapping[str, Any]]) -> Any:
    given = list(events)
    kept = _append(stream, given)
    for event in given:
        message = str(event.get("message", ""))
        if '"_aws"' not in message:
            continue
        try:
            record(json.loads(message))
        except (ValueError, TypeError, KeyError, AttributeError):
            # On AWS it counts in AWS/Logs as an error, and stays a log event.
            logger.warning("a log event in embedded metric format cannot be read: %.200s", message)
    return kept


def record(document: Mapping[str, Any]) -> None:
    """Record what a document holds. Raises what comes of a document that is none."""
    now = clock.now()
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                value = document[metric["Name"]]
                values = [(float(one), 1.0) for one in (value if isinstance(value, list) else [value])]
                unit = metric.get("Unit", "None")
                metrics.put(directive["Namespace"], metric["Name"], dimensions, unit, now, values)
