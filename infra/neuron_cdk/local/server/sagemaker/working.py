"""The work of endpoints: threads of their own in real time, whose waits are the clock's."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from ..clock import clock

hold, release = clock.hold, clock.release
"""Around real work in a thread that is there already: a jump of the clock waits for it."""

_LOOK_SECONDS = 10.0
"""How often a wait looks whether it has what it waits for, on the clock."""

Found = TypeVar("Found")


def begin(name: str, work: Callable[..., None], *arguments: object) -> None:
    """Run ``work`` in a thread that speaks for the account and region of this request. A jump of the clock waits."""
    clock.hold()

    def run() -> None:
        try:
            work(*arguments)
        finally:
            clock.release()

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name=name, daemon=True).start()


def pause(seconds: float, look: Callable[[], Found | None]) -> Found | None:
    """Let ``seconds`` of the clock pass; sooner with what ``look`` finds, which is asked every ten of them.

    Only in work that ``begin`` started: while it waits, the clock may jump.
    """
    found = look()
    if found is not None or seconds <= 0:
        return found
    until = clock.now() + seconds
    ended = threading.Event()
    context = contextvars.copy_context()
    seen: list[Found | None] = []

    def tick() -> None:
        found = context.run(look)
        left = until - clock.now()
        if found is None and left > 0:
            clock.call_later(min(_LOOK_SECONDS, left), tick)
            return
        seen.append(found)
        clock.hold()
        ended.set()

    clock.call_later(min(_LOOK_SECONDS, seconds), tick)
    clock.release()
    ended.wait()
    return seen[0]
