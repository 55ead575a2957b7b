"""What a fleet's controller does, and what it is told: the variable that ``neuron_hooks.fleet.settings`` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import spec
from .group import PoolGroup


def owns_size(fleet: spec.Fleet) -> bool:
    """Whether the controller sizes the groups, or Auto Scaling the one there is by itself.

    Auto Scaling can hold one pool at a metric. It knows no gang, no other pool, no queue that wakes an empty fleet,
    no pause before shrinking, and its schedules take another kind of cron.
    """
    scaling = fleet.scaling
    return bool(
        fleet.purpose == "training"
        or len(spec.pools(fleet.capacity)) > 1
        or any(capacity.kind == "capacity-block" for capacity in fleet.capacity)
        or fleet.schedule
        or fleet.size.desired not in (None, fleet.size.min)
        or (scaling and (scaling.metric == "queue-depth" or "scale_in_cooldown_s" in scaling.model_fields_set))
    )


def configuration(
    name: str,
    fleet: spec.Fleet,
    pools: Sequence[PoolGroup],
    *,
    query: Mapping[str, Any] | None,
    refresh: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """
    :param query: the metric that the fleet's size follows; None where the controller does not scale.
    :param refresh: how it replaces running instances; None where it does not.
    """
    scaling = fleet.scaling
    followed = None
    if scaling and query is not None:
        followed = {
            "metric": scaling.metric,
            "target": scaling.target,
            "scale_in_cooldown_s": scaling.scale_in_cooldown_s,
            "scale_out_cooldown_s": scaling.scale_out_cooldown_s,
            "query": query,
        }
    return {
        "name": name,
        "pools": [
            {
                "name": group.pool.name,
                "kind": group.pool.kinds[0],
                "group": group.name,
                "base": group.pool.base,
                "reservations": list(group.pool.reservations),
            }
            for group in pools
        ],
        "min": fleet.size.min,
        "max": fleet.size.max,
        "start": fleet.size.min if fleet.size.desired is None else fleet.size.desired,
        "gang": fleet.purpose == "training",
        "owns_size": owns_size(fleet),
        "return_after_s": fleet.return_after_minutes * 60,
        "scaling": followed,
        "refresh": refresh,
    }
