"""Which of an account's quotas a running instance counts against.

What a quota is worth differs from account to account and is asked of Service Quotas; the catalogue knows its code and
the name that the console shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from neuron_cdk.catalog._data import read
from neuron_cdk.catalog.instances import InstanceType

Use = Literal["on-demand", "reservation", "spot", "capacity-block", "endpoint"]


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of an account and region. ``unit`` is what it counts: a running instance counts with all its vCPUs."""

    service: Literal["ec2", "sagemaker"]
    code: str
    name: str
    unit: Literal["vCPU", "instance"]


def quota(instance: InstanceType, use: Use) -> Quota | None:
    """What an instance counts against when it is bought as ``use`` says, or serves an ``endpoint``.

    A reservation counts like the on-demand instances in it. None where no source names a quota: capacity blocks, and
    types that are too new for the sources.
    """
    if use == "endpoint":
        code = instance.quota_codes.get("endpoint")
        return Quota("sagemaker", code, f"ml.{instance.name} for endpoint usage", "instance") if code else None
    code = instance.quota_codes.get("on-demand" if use == "reservation" else use)
    return Quota("ec2", code, _names()[code], "vCPU") if code else None


@cache
def _names() -> dict[str, str]:
    return {record["code"]: record["name"] for record in read("quotas")["quotas"]}
