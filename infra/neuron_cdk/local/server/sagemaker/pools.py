"""Which instance type a variant gets next: its only one, or the first of its pools that has capacity.

"Deploy to multiple instance types with instance pools" (SageMaker developer guide): by priority, at create and at every
scale-out, until ``VariantInstanceProvisionTimeoutInSeconds`` is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import capacity, working
from .replicas import DeploymentError
from .store import Record

_PROVISION_SECONDS = 300.0
"""What is waited where the configuration does not say: the least that it may say. The default is not documented."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One instance type of a variant, and the model it serves; None on an endpoint of components."""

    instance_type: str
    model: str | None
    priority: int = 1


def of(declared: Record) -> list[Pool]:
    """The pools of a variant, the preferred first; a variant with one type is one pool."""
    if "InstancePools" not in declared:
        return [Pool(declared["InstanceType"], declared.get("ModelName"))]
    pools = [
        Pool(pool["InstanceType"], pool.get("ModelNameOverride") or declared.get("ModelName"), pool["Priority"])
        for pool in declared["InstancePools"]
    ]
    return sorted(pools, key=lambda pool: pool.priority)


def types(declared: Record) -> list[str]:
    return [pool.instance_type for pool in of(declared)]


def provision(declared: Record) -> Pool:
    """Take an instance. Raises ``DeploymentError`` when no pool has one in time."""
    pools = of(declared)

    def take() -> Pool | None:
        return next((pool for pool in pools if capacity.take(pool.instance_type)), None)

    seconds = declared.get("VariantInstanceProvisionTimeoutInSeconds", _PROVISION_SECONDS)
    taken = working.pause(seconds if "InstancePools" in declared else 0.0, take)
    if taken is None:
        raise DeploymentError(capacity.SHORT_FOR_ENDPOINT)
    return taken
