"""What a test does to fleets through the server's own paths; what it names is found whatever region it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import capacity as pools
from . import engine, interruptions, keeping, settings, store
from . import reservations as reserved

_Change = Callable[[dict[str, Any]], Any]


def _control(name: str, change: _Change) -> _Change:
    def run(wanted: dict[str, Any]) -> dict[str, Any]:
        with store.lock:
            answer = change(wanted)
        keeping.changed()
        engine.soon()
        return {name: answer}

    return run


def _shown(name: str, show: Callable[[], Any]) -> _Change:
    def run(_: dict[str, Any]) -> dict[str, Any]:
        with store.lock:
            return {name: show()}

    return run


def _to_instance(act: Callable[[str], None]) -> _Change:
    def change(wanted: dict[str, Any]) -> str:
        if wanted.keys() != {"instance"}:
            raise ValueError('give {"instance": "i-…"}')
        act(str(wanted["instance"]))
        return str(wanted["instance"])

    return change


show_capacity = _shown("pools", pools.get_state)
show_reservations = _shown("reservations", reserved.shown)
capacity = _control("pools", pools.change)
reservations = _control("reservations", reserved.change)
instances = _control("instances", settings.change)
interrupt = _control("instance", _to_instance(interruptions.interrupt))
rebalance = _control("instance", _to_instance(interruptions.recommend_rebalance))
