"""What Auto Scaling does by itself: it brings every group from what is to what should be.

A look goes over all groups and does what is due, until nothing is; then it waits for the next moment that something
will be. It runs in the clock's thread. Everything it goes by is in the records, so that after a restart one look
takes everything up again.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

from ..clock import Timer, clock
from ..sagemaker.store import speak_for
from . import interruptions, keeping, lifecycle, refresh, schedule, size, store, warm_pool
from .store import Record
from .turn import Turn

logger = logging.getLogger("neuron_cdk.local")

_STEPS: tuple[Callable[[Record, Turn], None], ...] = (
    schedule.step,
    lifecycle.step,
    refresh.step,
    size.step,
    warm_pool.step,
)
_MOST_TURNS = 1000
_REST_SECONDS = 60.0

_waiting: Timer | None = None
_lock = threading.Lock()


def soon() -> None:
    """Look at once: something was asked for, or has happened."""
    _look_at(clock.now())


def _look_at(moment: float) -> None:
    global _waiting
    with _lock:
        if _waiting is not None:
            if not _waiting.cancelled and _waiting.due <= moment:
                return
            _waiting.cancel()
        _waiting = clock.call_at(moment, _look)


def _look() -> None:
    global _waiting
    with _lock:
        _waiting = None
    changed = False
    following = math.inf
    with store.lock:
        for _ in range(_MOST_TURNS):
            turn = Turn(clock.now())
            _turn(turn)
            changed, following = changed or turn.changed, turn.next
            if not turn.changed:
                break
        else:
            logger.error("the groups do not come to rest: they are looked at again in a while")
            following = clock.now() + _REST_SECONDS
    if following < math.inf:
        _look_at(following)
    if changed:
        keeping.changed()


def _turn(turn: Turn) -> None:
    interruptions.step(turn)
    for (account, region, _), group in list(store.groups.all_items()):
        speak_for(account, region)
        for step in _STEPS:
            step(group, turn)
