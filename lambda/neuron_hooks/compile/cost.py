"""What a compile cost: the time its jobs ran, at their hosts' list prices. Pure.

SageMaker bills a job's hosts by the second (its pricing page), from when they are ready for it; what a description
gives is when processing started and ended, so the bill may be a little higher. ``None`` where no price is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def price(wanted: Mapping[str, Any], host: str) -> float | None:
    """US dollars an hour of a host, by the compile machine's input; version 0.1.0 gave no prices."""
    for one in wanted.get("hosts", ()):
        if isinstance(one, Mapping) and one["type"] == host:
            return one.get("usd_per_hour")
    return None


def of(seconds: float, usd_per_hour: float | None) -> float | None:
    """US dollars, to a millionth."""
    return None if usd_per_hour is None else round(seconds / 3600 * usd_per_hour, 6)


def seconds(plan: Mapping[str, Any] | None, last: float) -> float:
    """How long the jobs before and the last one ran together: what is paid for, whether or not a price is known.

    :param last: seconds.
    """
    return round(float((plan or {}).get("job_seconds", 0.0)) + last, 3)  # plans of 0.1.0 counted none


def total(plan: Mapping[str, Any] | None, usd: float | None) -> float | None:
    """US dollars for the jobs before and the last one together."""
    before = float(plan.get("usd", 0.0)) if plan else 0.0  # nothing was tried before parts were joined
    return round(before + usd, 6) if usd is not None else before or None
