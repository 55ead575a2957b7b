"""The model server as its neighbours on the instance see it."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.error
import urllib.request

# Below the load balancer's own time-out, which is 5 s.
PING_S = 3


def url(path: str) -> str:
    """An address of the server."""
    return f"http://127.0.0.1:{os.environ['PORT']}{path}"


def answers() -> bool:
    """Whether GET /ping answers 200."""
    try:
        with urllib.request.urlopen(url("/ping"), timeout=PING_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def under_way() -> int:
    """How many requests have come in and are not answered yet.

    The server is any container, so the kernel is asked: a connection over which something came in after (or in the
    same tick as) the last that went out has a request on it. On an idle connection the answer went out last. The kernel
    gives both as milliseconds ago (``ss --info``: lastrcv, lastsnd; none is 0).
    """
    command = ["ss", "-OHnti", "state", "established", f"( sport = :{os.environ['PORT']} )"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sum(_ago("lastrcv", line) <= _ago("lastsnd", line) for line in lines)


def _ago(field: str, line: str) -> int:
    found = re.search(rf"\b{field}:(\d+)", line)
    return int(found[1]) if found else 0
