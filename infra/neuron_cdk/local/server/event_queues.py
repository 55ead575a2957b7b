"""EventBridge calls functions through a queue each, as Lambda's asynchronous invocation does.

ministack starts a thread, and a process if none is free, for every event at once. On a clock that runs fast a fleet of
sixteen that comes up would be dozens of processes, each minute another, and a machine that does nothing else.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge, lambda_svc

from . import patching

logger = logging.getLogger("neuron_cdk.local")

_find = patching.original(lambda_svc, "_get_func_record_for_ref")
_record = patching.original(lambda_svc, "_execution_record_for_config")
_execute = patching.original(lambda_svc, "_execute_function_with_config_scope")
_AT_ONCE = 2  # so that two runs of a function still meet, as they do on AWS

_lock = threading.Lock()
_queues: dict[str, _Queue] = {}


class _Queue:
    """What waits for one function. A schedule's event is dropped while another waits: it would say nothing new."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bool, Callable[[], object]]] = deque()
        self._running = 0

    def put(self, run: Callable[[], object], *, scheduled: bool) -> None:
        with _lock:
            if scheduled and any(is_scheduled for is_scheduled, _ in self._waiting):
                return
            self._waiting.append((scheduled, run))
            if self._running >= _AT_ONCE:
                return
            self._running += 1
        threading.Thread(target=self._work, name="events", daemon=True).start()

    def _work(self) -> None:
        while True:
            with _lock:
                if not self._waiting:
                    self._running -= 1
                    return
                _, run = self._waiting.popleft()
            try:
                run()
            except Exception:
                logger.exception("an event could not be handled")


def install() -> None:
    patching.replace(eventbridge, "_dispatch_to_lambda", _dispatch)


def _dispatch(arn: str, payload: str) -> None:
    function, configuration, _ = _find(arn)
    if not function or not configuration:
        return  # deleted meanwhile: EventBridge counts a failed invocation
    event: dict[str, Any] = json.loads(payload)
    context = contextvars.copy_context()
    record = _record(function, configuration)
    with _lock:
        queue = _queues.setdefault(arn, _Queue())
    scheduled = isinstance(event, dict) and event.get("detail-type") == "Scheduled Event"
    queue.put(lambda: context.run(_execute, record, event), scheduled=scheduled)
