"""What of Auto Scaling outlives the server: groups, reservations, interruptions under way, and a test's settings."""

from __future__ import annotations

import threading
from typing import Any

from . import capacity, interruptions, reservations, settings, store

_PARTS: dict[str, Any] = {
    "store": store,
    "reservations": reservations,
    "interruptions": interruptions,
    "capacity": capacity,
    "settings": settings,
}


def at_rest() -> threading.RLock:
    """What to hold so that no group changes, and no instance of one."""
    return store.lock


def get_state() -> dict[str, Any]:
    with store.lock:
        return {name: part.get_state() for name, part in _PARTS.items()}


def load_persisted_state(saved: dict[str, Any]) -> None:
    for name, part in _PARTS.items():
        part.load_persisted_state(saved.get(name, {}))
