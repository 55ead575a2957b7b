"""Copies of requests for a shadow variant, whose answers nobody sees; its metrics are its own.

The share copied is the shadow's weight by the production variant's ("Shadow tests", developer guide).
"""

from __future__ import annotations

import contextvars
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from . import calls, faults, metrics, replicas
from .fleet import Fleet
from .replicas import Replica
from .variants import Variant

_WORKERS = 4
_waiting = BoundedSemaphore(64)
"""A shadow that is too slow loses copies rather than the server its memory."""
_workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="shadow")


def copy(fleet: Fleet, headers: Mapping[str, str], body: bytes) -> None:
    """Send the share of the fleet's shadows a copy, without waiting for it."""
    for shadow in fleet.shadows:
        weight = sum(variant.weight for variant in fleet.variants)
        if weight <= 0 or random.random() >= shadow.weight / weight:  # noqa: S311
            continue
        with replicas.lock:
            replica = shadow.enter()
        if replica is None:
            continue
        if not _waiting.acquire(blocking=False):
            replica.leave()
            continue
        _workers.submit(contextvars.copy_context().run, _send, fleet, shadow, replica, dict(headers), body)


def _send(fleet: Fleet, shadow: Variant, replica: Replica, headers: dict[str, str], body: bytes) -> None:
    try:
        reply = calls.call(replica, headers, body, faults.of(fleet.config, replica.model))
    finally:
        replica.leave()
        _waiting.release()
    sets = metrics.of_variant(fleet.endpoint, shadow.name, fleet.config)
    metrics.request(sets, status=reply.status, model_s=reply.seconds, overhead_s=0.0)
