"""What goes together with asynchronous requests, and what does not.

Sources: InvokeEndpointAsync, which names neither a variant nor a component; the SageMaker guide's "Shadow tests,
Exclusions"; its "Data capture", which knows real-time endpoints and batch transforms.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..endpoint import Endpoint
from ..findings import Problem
from .common import Surroundings


def modes_are_possible(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.mode == "realtime":
        if endpoint.async_inference:
            yield Problem(
                "NCDK-ENDPOINT-023",
                ("async_inference",),
                "a real-time endpoint keeps no queue",
                "mode: async",
                "remove async_inference, or set mode to async",
            )
        return
    if endpoint.components:
        yield Problem(
            "NCDK-ENDPOINT-008",
            ("components",),
            "an asynchronous request cannot name the component it is for",
            fix="give the endpoint one model, or set mode to realtime",
        )
    for field, why in (
        ("variants", "an asynchronous request cannot name a variant, and AWS documents one variant a queue"),
        ("shadow", "SageMaker has no shadow tests of asynchronous endpoints"),
    ):
        if getattr(endpoint, field):
            yield Problem(
                "NCDK-ENDPOINT-009", (field,), why, fix="make it an endpoint of its own, or set mode to realtime"
            )
    if endpoint.capture:
        yield Problem(
            "NCDK-ENDPOINT-010",
            ("capture",),
            "SageMaker captures the data of real-time endpoints; an asynchronous one has requests and answers in S3",
            fix="remove capture; async_inference.retention_days says how long the answers stay",
        )
