"""One request to a container, and what a test makes go wrong with it."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from .faults import Fault
from .replicas import Replica

_CALL_SECONDS = 60.0  # how long SageMaker waits for a container's answer
_PASSED = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a container answered; ``status`` 0 and the reason as ``content`` when it did not."""

    status: int
    content: bytes
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "application/octet-stream")


def call(
    replica: Replica, headers: Mapping[str, str], body: bytes, fault: Fault | None, *, seconds: float = _CALL_SECONDS
) -> Reply:
    """The answer of ``replica``, which has the request already."""
    started = time.monotonic()
    if fault and fault.latency_ms:
        time.sleep(fault.latency_ms / 1000)
    if fault and random.random() < fault.error_rate:  # noqa: S311
        content = json.dumps({"error": "the model failed: as asked for"}).encode()
        return Reply(500, content, time.monotonic() - started, {"Content-Type": "application/json"})
    connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=seconds)
    try:
        connection.request("POST", "/invocations", body, {key: headers[key] for key in _PASSED if key in headers})
        answer = connection.getresponse()
        content = answer.read()
        return Reply(answer.status, content, time.monotonic() - started, dict(answer.getheaders()))
    except (OSError, http.client.HTTPException) as error:
        said = f"the container does not answer ({error or type(error).__name__})"
        return Reply(0, said.encode(), time.monotonic() - started)
    finally:
        connection.close()
