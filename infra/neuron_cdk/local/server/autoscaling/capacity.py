"""How much capacity there is: without limit, until a test limits a pool, as much as reserved in a reservation."""

from __future__ import annotations

from typing import Any

from neuron_cdk.catalog import instances as catalog

from . import instances, store

_KINDS = ("spot", "on-demand", "capacity-block", "reservation")

_pools: dict[str, int] = {}


def change(wanted: dict[str, Any]) -> dict[str, int]:
    """``PUT /_neuron_cdk/capacity``: ``{"pools": {"spot": 0, "a-group": 4, "on-demand/inf2.xlarge": 2}}``.

    How many instances can exist of a group, of a kind (``spot``, ``on-demand``, ``capacity-block``, ``reservation``) or
    in a reservation, of one type when that follows the slash; null takes the limit away, also of a group that is gone.
    Raises ``ValueError``, with everything as it was: a name that is nothing yet would be a limit that limits nothing.
    """
    pools = wanted.get("pools")
    if not isinstance(pools, dict) or wanted.keys() != {"pools"}:
        raise ValueError('give {"pools": {"<group, kind or reservation>[/<instance type>]": how many, or null}}')
    for name, most in pools.items():
        if name not in _pools:
            _check(name)
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 0):
            raise ValueError(f"{name} is {most!r}: give how many instances there can be, or null for no limit")
    for name, most in pools.items():
        if most is None:
            _pools.pop(name, None)
        else:
            _pools[name] = most
    return dict(_pools)


def _check(name: str) -> None:
    """Raise ``ValueError`` unless ``name`` names capacity that there is."""
    pool, slash, only = name.partition("/")
    groups = {group for (_, _, group), _ in store.groups.all_items()}
    if pool not in _KINDS and pool not in groups and not (pool.startswith("cr-") and pool != "cr-"):
        raise ValueError(
            f"{name}: there is no kind of capacity or group {pool!r}: give {', '.join(_KINDS)}, a reservation (cr-…) "
            f"or a group that exists ({', '.join(sorted(groups)) or 'none does'}), after a slash one type only"
        )
    if slash:
        try:
            catalog.get(only)
        except catalog.UnknownInstanceType as error:
            raise ValueError(
                f"{name}: {error}: give a type such as inf2.xlarge after the slash, or no slash"
            ) from error


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
