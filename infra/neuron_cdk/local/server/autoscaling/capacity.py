"""How much capacity there is: without limit, until a test limits a pool, as much as reserved in a reservation."""

from __future__ import annotations

from typing import Any

from . import instances

_pools: dict[str, int] = {}


def change(wanted: dict[str, Any]) -> dict[str, int]:
    """``PUT /_neuron_cdk/capacity``: ``{"pools": {"spot": 0, "a-group": 4, "on-demand/inf2.xlarge": 2}}``.

    How many instances can exist of a group, of a kind (``spot``, ``on-demand``, ``capacity-block``, ``reservation``) or
    in a reservation, of one type when that follows the slash; null takes the limit away. Raises ``ValueError``.
    """
    pools = wanted.get("pools")
    if not isinstance(pools, dict) or wanted.keys() != {"pools"}:
        raise ValueError('give {"pools": {"<group, kind or reservation>[/<instance type>]": how many, or null}}')
    for name, most in pools.items():
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 0):
            raise ValueError(f"{name} is {most!r}: give how many instances there can be, or null for no limit")
    for name, most in pools.items():
        if most is None:
            _pools.pop(name, None)
        else:
            _pools[name] = most
    return dict(_pools)


def available(*, group: str, market: str, reservation: str | None, instance_type: str) -> bool:
    """Whether one more instance fits in every limited pool it would be of."""
    names = (group, _kind(market, reservation), reservation)
    for name, most in _pools.items():
        pool, _, only = name.partition("/")
        if pool in names and only in ("", instance_type):
            there = sum(
                pool in (record.get("_group"), _kind_of(record), record.get("CapacityReservationId"))
                and only in ("", record["InstanceType"])
                for record in instances.running()
            )
            if there >= most:
                return False
    return True


def _kind_of(record: dict[str, Any]) -> str:
    return _kind(record.get("_market", "on-demand"), record.get("CapacityReservationId"))


def _kind(market: str, reservation: str | None) -> str:
    return "reservation" if market == "on-demand" and reservation else market


def get_state() -> dict[str, int]:
    return dict(_pools)


def load_persisted_state(saved: dict[str, int]) -> None:
    _pools.update(saved)
