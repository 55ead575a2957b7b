"""What a test does to fleets through the server's own paths: in the account and region that it works in.

A request may name another region: ``{"region": "us-east-2", …}``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, request_scope

from . import capacity as pools
from . import engine, interruptions, keeping, settings, store
from . import reservations as reserved

_Change = Callable[[dict[str, Any]], Any]
_REGION = "us-east-1"


def _control(name: str, change: _Change) -> _Change:
    def run(wanted: dict[str, Any]) -> dict[str, Any]:
        given = dict(wanted)
        region = given.pop("region", _REGION)
        with request_scope(get_account_id(), region), store.lock:
            answer = change(given)
        keeping.changed()
        engine.soon()
        return {name: answer}

    return run


def _instance(wanted: dict[str, Any]) -> str:
    if wanted.keys() != {"instance"}:
        raise ValueError('give {"instance": "i-…"}')
    return str(wanted["instance"])


capacity = _control("pools", pools.change)
reservations = _control("reservations", reserved.change)
instances = _control("instances", settings.change)
interrupt = _control("instance", lambda wanted: interruptions.interrupt(_instance(wanted)))
rebalance = _control("instance", lambda wanted: interruptions.recommend_rebalance(_instance(wanted)))
