"""One JSON line on standard output per decision, which Lambda carries to CloudWatch Logs."""

from __future__ import annotations

import json
from contextvars import ContextVar

_execution: ContextVar[str] = ContextVar("execution", default="")


def begin(execution: str) -> None:
    """Name what all that follows belongs to, where it is not said: a request's id, for one."""
    _execution.set(execution)


def decision(name: str, *, key: str = "", execution: str = "", **facts: object) -> None:
    """Log what was decided, for which artifact and by which execution.

    Never give it a response URL: it is a presigned address.
    """
    print(
        json.dumps({"decision": name, "key": key, "execution": execution or _execution.get(), **facts}, default=str),
        flush=True,
    )
