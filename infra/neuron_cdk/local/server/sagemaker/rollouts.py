"""How requests move from the fleet in service to the one that comes, and back ("Deployment guardrails").

All at once, canary and linear start the whole new fleet beside the old one; rolling starts and ends a batch at a time.
While it waits, a deployment looks at its alarms; one that trips, or a fleet that does not come up, takes it back.
"""

from __future__ import annotations

import math
from typing import Any

from . import components
from .deployment import Watch, size
from .fleet import AnyVariant, Fleet
from .hosts import HostVariant
from .traffic import Serving

Policy = dict[str, Any]
_WHOLE = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100}, "WaitIntervalInSeconds": 0}


def shift(serving: Serving, coming: Fleet, policy: Policy) -> None:
    """Bring ``coming`` up, give it the requests and end the fleet before it.

    Raises ``DeploymentError`` or ``RolledBackError``, and leaves to ``back`` what has been done until then.
    """
    leaving = serving.fleet
    watch = Watch(policy)
    coming.share = 0.0
    serving.fleets = [leaving, coming]
    if "RollingUpdatePolicy" in policy or coming.hosts_components:
        _roll(serving, coming, policy.get("RollingUpdatePolicy", _WHOLE), watch)
    else:
        coming.start()
        _shift_by_steps(leaving, coming, policy.get("BlueGreenUpdatePolicy", {}), watch)
    serving.fleets = [coming]
    coming.share = 1.0
    leaving.stop()


def back(serving: Serving, sizes: dict[str, int]) -> None:
    """Give the requests back to the fleet in service at these ``sizes``, and end the other.

    Raises ``DeploymentError`` when it does not come to its size again; it serves with what it has.
    """
    staying, others = serving.fleet, serving.fleets[1:]
    try:
        for variant in staying.all_variants:
            if variant.count < sizes[variant.name]:
                variant.grow(sizes[variant.name] - variant.count)
        for fleet in others:
            for variant in fleet.variants:
                home = staying.find(variant.name)
                if home is not None:
                    _move(serving, variant, home)
    finally:
        serving.fleets = [staying]
        staying.share = 1.0
        for fleet in others:
            fleet.stop()


def sizes(fleet: Fleet) -> dict[str, int]:
    return {variant.name: variant.count for variant in fleet.all_variants}


def _shift_by_steps(leaving: Fleet, coming: Fleet, update: dict[str, Any], watch: Watch) -> None:
    routing = update.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE"})
    total = sum(variant.desired for variant in coming.variants)
    shares = [1.0]
    if routing["Type"] == "CANARY":
        shares = [_part(routing["CanarySize"], total), 1.0]
    elif routing["Type"] == "LINEAR":
        step = _part(routing["LinearStepSize"], total)
        shares = [min(step * number, 1.0) for number in range(1, math.ceil(1 / step - 1e-9) + 1)]
    for share in shares:
        coming.share, leaving.share = share, 1.0 - share
        last = share >= 1.0
        watch.bake(update.get("TerminationWaitInSeconds", 0) if last else routing["WaitIntervalInSeconds"])


def _roll(serving: Serving, coming: Fleet, update: dict[str, Any], watch: Watch) -> None:
    leaving = serving.fleet
    for old, new in _pairs(leaving, coming):
        batch = size(update["MaximumBatchSize"], max(new.desired, 1))
        while new.count < new.desired:
            by = min(batch, new.desired - new.count)
            new.grow(by)
            ends = by if new.count < new.desired else old.count
            coming.share, leaving.share = float(new.count), float(max(old.count - ends, 0))
            _move(serving, old, new, all_but=max(old.count - ends, 0))
            watch.bake(update["WaitIntervalInSeconds"])
            old.scale(max(old.count - ends, 0))
        old.scale(0)


def _pairs(leaving: Fleet, coming: Fleet) -> list[tuple[AnyVariant, AnyVariant]]:
    found = [(leaving.find(new.name), new) for new in coming.variants]
    return [(old, new) for old, new in found if old is not None]


def _move(serving: Serving, leaving: AnyVariant, coming: AnyVariant, *, all_but: int = 0) -> None:
    """Have components follow from instances that leave to those that come."""
    if isinstance(leaving, HostVariant) and isinstance(coming, HostVariant):
        components.move(serving, leaving, coming, all_but=all_but)


def _part(capacity: dict[str, Any], total: int) -> float:
    """A share of the requests by instances or percent of them."""
    if capacity["Type"] == "INSTANCE_COUNT":
        return min(float(capacity["Value"]) / max(total, 1), 1.0)
    return min(float(capacity["Value"]) / 100, 1.0)
