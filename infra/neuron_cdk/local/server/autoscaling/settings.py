"""What a test may turn: how long an instance takes, and what its agent says to a lifecycle hook.

Nobody runs on an instance here. In its place stands an agent that says CONTINUE to a launch hook once the instance has
booted, and to a terminate hook once it has drained; told to, it says ABANDON, or nothing, until the hook times out.
"""

from __future__ import annotations

from typing import Any

from ..clock import MOST_JUMP

_DEFAULTS: dict[str, Any] = {
    "boot_s": 30,
    "warm_boot_s": 10,
    "drain_s": 5,
    "launch": "continue",
    "terminate": "continue",
}
_ANSWERS = ("continue", "abandon", "never")
_settings = dict(_DEFAULTS)


def change(wanted: dict[str, Any]) -> dict[str, Any]:
    """``PUT /_neuron_cdk/instances``: ``{"boot_s": 30, "drain_s": 15, "launch": "abandon", "terminate": "never"}``.

    What is left out stays; seconds are the clock's. Raises ``ValueError``.
    """
    for name, value in wanted.items():
        if name not in _DEFAULTS:
            raise ValueError(f"instances have no {name}: give {', '.join(_DEFAULTS)}")
        if name in ("launch", "terminate"):
            if value not in _ANSWERS:
                raise ValueError(f"{name} is {value!r}: give {', '.join(_ANSWERS)}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_JUMP:
            raise ValueError(f"{name} is {value!r}: give seconds, 0 or more")
    _settings.update(wanted)
    return dict(_settings)


def boot_seconds() -> float:
    return float(_settings["boot_s"])


def warm_boot_seconds() -> float:
    """How long an instance of a warm pool takes to start again."""
    return float(_settings["warm_boot_s"])


def drain_seconds() -> float:
    return float(_settings["drain_s"])


def answer(transition: str) -> str | None:
    """What the agent says at the hooks of ``transition``: CONTINUE, ABANDON, or nothing."""
    said = _settings["launch" if transition == "autoscaling:EC2_INSTANCE_LAUNCHING" else "terminate"]
    return None if said == "never" else str(said).upper()


def get_state() -> dict[str, Any]:
    return dict(_settings)


def load_persisted_state(saved: dict[str, Any]) -> None:
    _settings.update(saved)
