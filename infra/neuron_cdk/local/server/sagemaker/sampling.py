"""The metrics that endpoints publish by time: concurrency every ten seconds, an async backlog every minute."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

from ..clock import clock
from . import asynchronous, components, metrics
from .traffic import Serving
from .variants import Variant

_HIGH_RESOLUTION_SECONDS = 10.0
_STANDARD_SECONDS = 60.0

_watched: set[Serving] = set()


def watch(serving: Serving) -> None:
    """Publish from now on, as the account and region of this request."""
    _watched.add(serving)
    _every(_HIGH_RESOLUTION_SECONDS, serving, _concurrency)
    _every(_STANDARD_SECONDS, serving, _backlog)


def forget(serving: Serving) -> None:
    _watched.discard(serving)


def _every(seconds: float, serving: Serving, publish: Callable[[Serving], None]) -> None:
    context = contextvars.copy_context()

    def run() -> None:
        if serving in _watched:
            clock.call_later(seconds, run)
            context.run(publish, serving)

    clock.call_later(seconds, run)


def _concurrency(serving: Serving) -> None:
    for fleet in serving.fleets:
        for variant in fleet.all_variants:
            if isinstance(variant, Variant):
                sets = metrics.of_variant(serving.name, variant.name, fleet.config)
                for concurrent in [replica.concurrency() for replica in variant.replicas]:
                    for dimensions in sets:
                        metrics.record("ConcurrentRequestsPerModel", dimensions, concurrent)
    for component in components.of_serving(serving):
        for replica in component.replicas:
            own = {"InferenceComponentName": component.name}
            metrics.record("ConcurrentRequestsPerCopy", own, replica.concurrency())


def _backlog(serving: Serving) -> None:
    waiting = asynchronous.backlog(serving)
    if waiting is None:
        return
    own = {"EndpointName": serving.name}
    instances = sum(variant.count for fleet in serving.fleets for variant in fleet.variants)
    metrics.record("ApproximateBacklogSize", own, waiting, "Count")
    if instances:
        metrics.record("ApproximateBacklogSizePerInstance", own, waiting / instances, "Count")
    metrics.record("HasBacklogWithoutCapacity", own, float(waiting > 0 and instances == 0))
