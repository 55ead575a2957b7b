"""What a fleet's controller is told about its fleet: the variable ``FLEET``, JSON. Pure.

::

    {"name": "production-Fleet-serve/Fleet",
     "pools": [{"name": "spot", "kind": "spot", "group": "…", "base": 0, "reservations": []}, …],
     "min": 1, "max": 8, "start": 1, "gang": false, "owns_size": true, "return_after_s": 900,
     "scaling": null | {"metric": "queue-depth", "target": 70.0, "scale_in_cooldown_s": 300, "scale_out_cooldown_s": 60,
                        "query": {"Namespace", "MetricName", "Dimensions": [{"Name", "Value"}], "Stat"}},
     "refresh": null | {"min_healthy_percent": 90, "checkpoints": [25, 100], "bake_seconds": 600, "alarms": [],
                        "warmup_s": 600}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CAPACITY_BLOCK = "capacity-block"
QUEUE_DEPTH = "queue-depth"


class FleetSettingsError(Exception):
    """The variable FLEET is not what the stack writes."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One Auto Scaling group. ``kind`` is that of its first capacity entry; ``base`` instances of the fleet are its."""

    name: str
    kind: str
    group: str
    base: int
    reservations: tuple[str, ...]

    @property
    def is_block(self) -> bool:
        """Whether its instances end with their reservation."""
        return self.kind == CAPACITY_BLOCK


@dataclass(frozen=True, slots=True)
class Scaling:
    """``query`` is a CloudWatch metric with its statistic, ``target`` what it should be for one instance."""

    metric: str
    target: float
    scale_in_cooldown_s: int
    scale_out_cooldown_s: int
    query: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refresh:
    """How an instance refresh goes: in AWS's own terms, but ``bake_seconds`` after each checkpoint and at the end."""

    min_healthy_percent: int
    checkpoints: tuple[int, ...]
    bake_seconds: int
    alarms: tuple[str, ...]
    warmup_s: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """``pools`` in order of preference; ``max`` is the bound that holds always, ``min`` what nothing scales below."""

    name: str
    pools: tuple[Pool, ...]
    min: int
    max: int
    start: int
    gang: bool
    owns_size: bool
    return_after_s: int
    scaling: Scaling | None
    refresh: Refresh | None

    def pool_of_group(self, group: str) -> Pool | None:
        """The pool an Auto Scaling group is, ``None`` for a stranger's."""
        return next((pool for pool in self.pools if pool.group == group), None)


def parse(text: str) -> Fleet:
    """Read the variable.

    :raises FleetSettingsError: when it cannot be read.
    """
    try:
        return _fleet(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise FleetSettingsError(
            f"the environment variable FLEET cannot be read ({type(error).__name__}: {error})"
        ) from error


def _fleet(document: Mapping[str, Any]) -> Fleet:
    scaling, refresh = document["scaling"], document["refresh"]
    return Fleet(
        name=document["name"],
        pools=tuple(
            Pool(pool["name"], pool["kind"], pool["group"], pool["base"], tuple(pool["reservations"]))
            for pool in document["pools"]
        ),
        min=document["min"],
        max=document["max"],
        start=document["start"],
        gang=document["gang"],
        owns_size=document["owns_size"],
        return_after_s=document["return_after_s"],
        scaling=Scaling(**scaling) if scaling else None,
        refresh=refresh_of(refresh) if refresh else None,
    )


def refresh_of(document: Mapping[str, Any]) -> Refresh:
    """How an instance refresh goes, from JSON."""
    lists = {name: tuple(document[name]) for name in ("checkpoints", "alarms")}
    return Refresh(**{**document, **lists})
