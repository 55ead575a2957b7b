"""Quotas and capacity that run short on request: nothing here limits a job or an endpoint unless a test says so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..api import ServiceError

SHORT = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type or after some time."
)
"""A job's words; an endpoint's are these, as both were seen in reports of users."""
SHORT_FOR_ENDPOINT = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)

_quotas: dict[str, int] = {}
_short: set[str] = set()
_most: dict[str, int] = {}
"""How many instances endpoints can have of a type."""
_there: Counter[str] = Counter()
_lock = threading.Lock()


def limit(wanted: dict[str, Any]) -> None:
    """What is refused from now on: ``{"quotas": {"ml.m5.large": 0}, "short": ["ml.m5.xlarge"]}``; empty: nothing."""
    _quotas.clear()
    _quotas.update(wanted.get("quotas", {}))
    _short.clear()
    _short.update(wanted.get("short", []))


def limit_endpoints(most: Mapping[str, int]) -> None:
    """How many instances endpoints can have of each type from now on; those that run stay."""
    with _lock:
        _most.clear()
        _most.update(most)


def limits_of_endpoints() -> dict[str, int]:
    return dict(_most)


def check_quota(instance_type: str, *, usage: str) -> None:
    """Raise ``ResourceLimitExceeded`` when the account's quota for ``instance_type`` is 0."""
    if _quotas.get(instance_type) == 0:
        raise ServiceError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{instance_type} for {usage}' is 0 Instances, with current utilization "
            "of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase "
            "for this quota.",
        )


def has_quota(instance_type: str) -> bool:
    """Whether the account may have instances of the type at all."""
    return _quotas.get(instance_type) != 0


def available(instance_type: str) -> bool:
    return instance_type not in _short


def take(instance_type: str) -> bool:
    """Have one more instance of the type for an endpoint, if there is one; ``give_back`` when it ends."""
    with _lock:
        if instance_type in _short or _there[instance_type] >= _most.get(instance_type, 1_000_000):
            return False
        _there[instance_type] += 1
        return True


def give_back(instance_type: str) -> None:
    with _lock:
        _there[instance_type] -= 1
