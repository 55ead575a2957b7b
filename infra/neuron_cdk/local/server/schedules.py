"""EventBridge on the clock: the times of events, and the scheduled rules, which ministack fires by real time."""

from __future__ import annotations

import logging

from ministack.services import eventbridge

from . import patching
from .clock import clock

logger = logging.getLogger("neuron_cdk.local")

_tick = patching.original(eventbridge, "_tick_scheduled_rules")
_STEP_SECONDS = 1.0
_LEAST_REAL_SECONDS = 0.02


def install() -> None:
    patching.replace(eventbridge, "_now_ts", clock.now)
    patching.replace(eventbridge, "_scheduler_loop", _loop)


def _loop() -> None:
    """Look once a second of the clock. A jump fires a rule once however often it was due, as after a sleep."""
    while True:
        clock.sleep(_STEP_SECONDS, at_least=_LEAST_REAL_SECONDS)
        try:
            _tick()
        except Exception:
            logger.exception("the scheduled rules failed")
