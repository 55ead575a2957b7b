"""The one clock of what acts by itself here: fleets, schedules, waits. It can run faster than real time, and jump.

At speed 1 it tells real time. A jump does not skip what was to happen meanwhile: each timer on the way runs with the
clock at the moment it was due, in order, and may set others, so that an hour of a group's life passes as it would have.
Schedules are no timers: ``schedules`` looks at them when the jump is over, so that a rule that was due on the way, such
as a controller's every minute, fires once. Whoever wants to see controllers work sets the speed.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("neuron_cdk.local")

MOST_SPEED = 100_000.0
MOST_JUMP = 10 * 365 * 86_400.0
"""Seconds; a time that no calendar holds would break everything that writes one."""


class Timer:
    """Something to be run once; ``cancel`` before it is due and it is not."""

    def __init__(self, due: float, run: Callable[[], object]) -> None:
        self.due, self.run, self.cancelled = due, run, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Epoch seconds, and a thread of its own that runs timers one after the other.

    ``real`` is the real time in epoch seconds, for tests of the clock itself.
    """

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._speed = 1.0
        self._real_then = real()
        self._then = self._real_then
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._jump: float | None = None
        """Where a jump under way leads; timers due before it run at once, with the clock at their moment."""
        self._held = 0
        """How much real work is under way that a jump waits for."""

    def now(self) -> float:
        with self._changed:
            return self._now()

    @property
    def speed(self) -> float:
        return self._speed

    def call_later(self, seconds: float, run: Callable[[], object]) -> Timer:
        """Run ``run`` in the clock's thread after ``seconds`` of this clock."""
        with self._changed:
            return self._put(Timer(self._now() + max(seconds, 0.0), run))

    def call_at(self, when: float, run: Callable[[], object]) -> Timer:
        """Run ``run`` in the clock's thread at ``when``; at once when that is past."""
        with self._changed:
            return self._put(Timer(max(when, self._now()), run))

    def sleep(self, seconds: float, *, at_least: float = 0.0) -> None:
        """Return after ``seconds`` of this clock, not before ``at_least`` real ones, and never amid a jump."""
        started = self._real()
        with self._changed:
            until = self._now() + seconds
            while True:
                left = max((until - self._now()) / self._speed, started + at_least - self._real())
                if left <= 0 and self._jump is None:
                    return
                self._changed.wait(max(left, 0.0) if self._jump is None else None)

    def set_speed(self, speed: float) -> None:
        """Seconds of this clock that pass in a real one. Raises ``ValueError`` outside 0 < speed <= 100,000."""
        check_speed(speed)
        with self._changed:
            self._at(self._now())
            self._speed = float(speed)
            self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Jump; returns when every timer on the way has run. Raises ``ValueError`` outside 0 to ten years.

        Scheduled rules fire after it, once each. Never call it from a timer, which it would wait for.
        """
        check_jump(seconds)
        with self._changed:
            while self._jump is not None:  # one at a time
                self._changed.wait()
            self._at(self._now())
            self._jump = self._then + seconds
            self._run_thread()
            self._changed.notify_all()
            while self._jump is not None:
                self._changed.wait()

    def hold(self) -> None:
        """Real work begins (processes that start or drain): a jump stands still at its moment until ``release``.

        So what follows from the work follows at the moment it would have, however short the work takes really.
        """
        with self._changed:
            self._held += 1

    def release(self) -> None:
        """The work of one ``hold`` is done, or waits for this clock itself."""
        with self._changed:
            self._held -= 1
            self._changed.notify_all()

    def saved(self) -> dict[str, float]:
        """How it differs from real time; what ``restore`` takes."""
        with self._changed:
            return {"offset": self._now() - self._real(), "speed": self._speed}

    def restore(self, saved: dict[str, float]) -> None:
        """Go on as saved. Raises ``ValueError`` when no clock can go on like that, and stays as it is."""
        check_speed(saved["speed"])
        if not math.isfinite(saved["offset"]):
            raise ValueError(f"the offset is {saved['offset']}")
        with self._changed:
            self._at(self._real() + saved["offset"])
            self._speed = saved["speed"]
            self._changed.notify_all()

    def _now(self) -> float:
        if self._jump is not None:
            return self._then  # it stands still between the timers of a jump
        return self._then + (self._real() - self._real_then) * self._speed

    def _at(self, moment: float) -> None:
        self._then, self._real_then = moment, self._real()

    def _put(self, timer: Timer) -> Timer:
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        self._run_thread()
        self._changed.notify_all()
        return timer

    def _run_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="neuron-cdk-clock", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while True:
            timer = self._next()
            try:
                timer.run()
            except Exception:
                logger.exception("a timer failed")

    def _next(self) -> Timer:
        """Wait for the next timer that is due, and take it."""
        with self._changed:
            while True:
                if self._jump is not None and self._held:
                    self._changed.wait()
                    continue
                while self._timers and self._timers[0][2].cancelled:
                    heapq.heappop(self._timers)
                due = self._timers[0][0] if self._timers else None
                reach = self._now() if self._jump is None else self._jump
                if due is not None and due <= reach:
                    if self._jump is not None:
                        self._at(max(due, self._then))
                    return heapq.heappop(self._timers)[2]
                if self._jump is not None:
                    self._at(self._jump)
                    self._jump = None
                    self._changed.notify_all()
                self._changed.wait(None if due is None else max((due - self._now()) / self._speed, 0.0))


clock = Clock()
"""The server's."""


def check_speed(speed: float) -> None:
    """Raise ``ValueError`` for what is no speed: not a number is none either."""
    if not 0 < speed <= MOST_SPEED:
        raise ValueError(f"speed is {speed}: give a number above 0, at most {MOST_SPEED:,.0f}")


def check_jump(seconds: float) -> None:
    """Raise ``ValueError`` for seconds that the clock cannot jump: not a number is none either."""
    if not 0 <= seconds <= MOST_JUMP:
        raise ValueError(
            f"advance_s is {seconds}: the clock only goes forward, give 0 or more, at most {MOST_JUMP:,.0f} (ten years)"
        )


def iso(moment: float) -> str:
    """A moment as AWS writes it in texts and events: ``2026-03-01T12:00:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def described() -> dict[str, Any]:
    """What ``GET /_neuron_cdk/clock`` answers."""
    now = clock.now()
    return {"now": now, "time": iso(now), "speed": clock.speed}


def change(wanted: dict[str, Any]) -> dict[str, Any]:
    """``PUT /_neuron_cdk/clock``: ``{"speed": 120}``, ``{"advance_s": 3600}`` or both. Raises ``ValueError``.

    Returns when every timer on the way of a jump has run. Scheduled rules, and with them the fleets' controllers, which
    look every minute, fire once after it, however often they were due: to watch controllers, set ``speed``.
    """
    unknown = sorted(wanted.keys() - {"speed", "advance_s"})
    if unknown:
        raise ValueError(f"the clock has no {', '.join(unknown)}: give speed, advance_s")
    for name, value in wanted.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}: give a number")
    if "speed" in wanted:
        check_speed(wanted["speed"])
    if "advance_s" in wanted:
        check_jump(wanted["advance_s"])  # before anything changes
    if "speed" in wanted:
        clock.set_speed(wanted["speed"])
    if "advance_s" in wanted:
        clock.advance(wanted["advance_s"])
    return described()


def get_state() -> dict[str, float]:
    return clock.saved()


def load_persisted_state(saved: dict[str, float]) -> None:
    if saved:
        try:
            clock.restore(saved)
        except ValueError as error:
            logger.error("the saved clock cannot be used (%s): it tells real time again", error)
