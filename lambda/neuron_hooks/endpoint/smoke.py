"""Smoke tests: what is asked, and whether the answers came in time. Pure.

One answer will do where there is no limit. With one, the best of up to three counts after one that warms up: the first
call after a start pays for what is loaded late, and one slow answer must not send a good version back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .declaration import SmokeTest

_WARM_UP, _MEASURED = 1, 3


def body(test: SmokeTest) -> bytes:
    """The request as it is sent."""
    return json.dumps(test.request).encode()


def invocation(endpoint: str, test: SmokeTest) -> dict[str, Any]:
    """An InvokeEndpoint request."""
    request: dict[str, Any] = {
        "EndpointName": endpoint,
        "ContentType": "application/json",
        "Accept": "application/json",
        "Body": body(test),
    }
    if test.variant:
        request["TargetVariant"] = test.variant
    if test.component:
        request["InferenceComponentName"] = test.component
    return request


def enough(test: SmokeTest, milliseconds: Sequence[float]) -> bool:
    """Whether nothing more need be measured."""
    if test.max_latency_ms is None:
        return len(milliseconds) >= 1
    measured = milliseconds[_WARM_UP:]
    return len(measured) >= _MEASURED or any(one <= test.max_latency_ms for one in measured)


def best(milliseconds: Sequence[float]) -> float:
    """The shortest, without the warm-up where there is more."""
    return min(milliseconds[_WARM_UP:] or milliseconds)


def too_slow(test: SmokeTest, milliseconds: Sequence[float]) -> str:
    """What is wrong with the measured times, empty when nothing is."""
    if test.max_latency_ms is None or best(milliseconds) <= test.max_latency_ms:
        return ""
    measured = ", ".join(f"{one:.0f}" for one in milliseconds[_WARM_UP:])
    return (
        f"the smoke test of {test.asked} took {best(milliseconds):.0f} ms at best (measured: {measured}), more than "
        f"max_latency_ms, {test.max_latency_ms}"
    )
