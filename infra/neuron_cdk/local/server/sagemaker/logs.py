"""A container's output in CloudWatch Logs, line by line as it is printed."""

from __future__ import annotations

from collections import deque
from typing import IO

from ministack.services import cloudwatch_logs

from .. import patching

_create_group = patching.original(cloudwatch_logs, "_create_log_group")
_create_stream = patching.original(cloudwatch_logs, "_create_log_stream")
_put_events = patching.original(cloudwatch_logs, "_put_log_events")
_TAIL_LINES = 20


def ship(output: IO[str], *, group: str, stream: str) -> deque[str]:
    """Write ``output`` to the stream until it ends; returns its last lines. The group is made if nobody made it."""
    _create_group({"logGroupName": group})
    _create_stream({"logGroupName": group, "logStreamName": stream})
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    for line in output:
        text = line.rstrip("\n")
        tail.append(text)
        if text:  # PutLogEvents refuses an empty message
            _put_events({"logGroupName": group, "logStreamName": stream, "logEvents": [{"message": text}]})
    return tail
