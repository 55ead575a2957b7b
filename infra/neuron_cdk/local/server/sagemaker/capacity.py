"""Quotas and capacity that run short on request: nothing here limits a job or an endpoint unless a test says so."""

from __future__ import annotations

from typing import Any

from ..api import ServiceError

SHORT = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type or after some time."
)

_quotas: dict[str, int] = {}
_short: set[str] = set()


def limit(wanted: dict[str, Any]) -> None:
    """What is refused from now on: ``{"quotas": {"ml.m5.large": 0}, "short": ["ml.m5.xlarge"]}``; empty: nothing."""
    _quotas.clear()
    _quotas.update(wanted.get("quotas", {}))
    _short.clear()
    _short.update(wanted.get("short", []))


def check_quota(instance_type: str, *, usage: str) -> None:
    """Raise ``ResourceLimitExceeded`` when the account's quota for ``instance_type`` is 0."""
    if _quotas.get(instance_type) == 0:
        raise ServiceError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{instance_type} for {usage}' is 0 Instances, with current utilization "
            "of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase "
            "for this quota.",
        )


def available(instance_type: str) -> bool:
    return instance_type not in _short
