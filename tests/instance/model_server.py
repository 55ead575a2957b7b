"""An instance that serves: brought into service, asked, and told to end by its group."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.instance.machine import eventually

ROW = json.dumps({"inputs": {"bytes": [[1] * 2048]}}).encode()
JSON = {"Content-Type": "application/json"}


def ask(port: int) -> int:
    """The status of one request to the model."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", ROW, JSON)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def in_service(instance: Any, serving: Any) -> Any:
    """The instance, started, and its group told so."""
    assert instance.start(serving) == 0, instance.journal
    instance.group = "InService"
    instance.metadata.items["autoscaling/target-lifecycle-state"] = "InService"
    healthy = serving.server.health_port
    eventually(lambda: instance.get(healthy) == 200, "the health port says 200", what=lambda: instance.journal)
    return instance


def terminate(instance: Any) -> None:
    """What the group does first."""
    instance.group = "Terminating:Wait"
    instance.metadata.items["autoscaling/target-lifecycle-state"] = "Terminated"
