"""A fleet's capacity cut into pools: what one Auto Scaling group can hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .deployment import Capacity, CapacityBlock, OnDemand, ReservedCapacity


@dataclass(frozen=True, slots=True)
class Pool:
    """Capacity that falls back inside one group, in the order of ``kinds``.

    - consecutive capacity blocks are one pool: EC2 takes them in any order;
    - consecutive reservations are one pool, together with the on-demand that follows them directly;
    - on-demand alone, and spot, are pools of their own.

    ``name`` is the first kind, with ``-2``, ``-3`` behind it where a fleet comes back to a kind. ``base`` is how many
    of the fleet's first instances always live here.
    """

    name: str
    kinds: tuple[str, ...]
    reservations: tuple[str, ...] = ()
    base: int = 0


def pools(capacity: Sequence[Capacity]) -> tuple[Pool, ...]:
    """The pools of a fleet's ``capacity``, the preferred one first."""
    runs: list[list[Capacity]] = []
    for entry in capacity:
        if runs and _together(runs[-1][-1], entry):
            runs[-1].append(entry)
        else:
            runs.append([entry])
    seen: Counter[str] = Counter()
    made = []
    for run in runs:
        kind = run[0].kind
        seen[kind] += 1
        made.append(
            Pool(
                name=kind if seen[kind] == 1 else f"{kind}-{seen[kind]}",
                kinds=tuple(dict.fromkeys(entry.kind for entry in run)),
                reservations=tuple(
                    entry.reservation for entry in run if isinstance(entry, ReservedCapacity | CapacityBlock)
                ),
                base=next((entry.base or 0 for entry in run if isinstance(entry, OnDemand)), 0),
            )
        )
    return tuple(made)


def _together(before: Capacity, entry: Capacity) -> bool:
    """Whether an entry joins the pool of the one before it."""
    if isinstance(before, CapacityBlock):
        return isinstance(entry, CapacityBlock)
    return isinstance(before, ReservedCapacity) and isinstance(entry, ReservedCapacity | OnDemand)
