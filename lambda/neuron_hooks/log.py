"""One JSON line on standard output per decision, which Lambda carries to CloudWatch Logs."""

from __future__ import annotations

import json


def decision(name: str, *, key: str = "", execution: str = "", **facts: object) -> None:
    """Log what was decided, for which artifact and by which execution.

    Never give it a response URL: it is a presigned address.
    """
    print(json.dumps({"decision": name, "key": key, "execution": execution, **facts}, default=str), flush=True)
