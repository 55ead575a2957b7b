"""Regions and zones, and what EC2 and SageMaker offer in them.

Zones are zone ids (``use1-az5``): the letters of a zone name mean a different place in every account.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from neuron_cdk.catalog._data import nearest, read

SageMakerService = Literal["endpoint", "processing", "training"]


class UnknownRegion(LookupError):  # noqa: N818  (it names what is wrong)
    """No such region in the catalogue. ``nearest`` is the closest name there is, if any is close."""

    def __init__(self, name: str, nearest: str | None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"the catalogue has no region {name!r}{hint}")


@dataclass(frozen=True, slots=True)
class Region:
    """One region. ``zones`` are zone ids; empty where no source lists them."""

    name: str
    partition: str
    dns_suffix: str
    zones: tuple[str, ...]


@cache
def get(name: str) -> Region:
    """The region of that name. Raises :class:`UnknownRegion`."""
    known = {record["name"]: record for record in read("regions")["regions"]}
    if name not in known:
        raise UnknownRegion(name, nearest(name, known))
    record = known[name]
    suffix = read("regions")["partitions"][record["partition"]]
    return Region(name, record["partition"], suffix, tuple(record["zones"]))


def all_regions() -> tuple[Region, ...]:
    """Every region, commercial ones first, by name."""
    return tuple(get(record["name"]) for record in read("regions")["regions"])


def zones_offering(region: str, instance_type: str) -> tuple[str, ...]:
    """Zone ids of the region where EC2 offers the type, sorted.

    Empty when it is not offered, and also where the sources do not go down to zones (:func:`offers` tells which).
    """
    return tuple(_offerings().get(instance_type, {}).get("zones", {}).get(region, ()))


def offers(region: str, instance_type: str) -> bool | None:
    """Whether EC2 offers the type in the region; None when no source covers the region."""
    if region not in read("offerings")["covered_regions"]:
        return None
    offered = _offerings().get(instance_type, {})
    return region in offered.get("zones", {}) or region in offered.get("regions", ())


def sagemaker_offers(region: str, ml_name: str, service: SageMakerService) -> bool:
    """Whether the SageMaker service takes ``ml_name`` in the region, as far as the sources know.

    Where they know nothing the answer is yes: regions that no source covers, and types whose regions no source lists
    (all of training, and ml.trn2.48xlarge on endpoints). A name that the service's API does not know is always no.
    """
    listed = _sagemaker().get(ml_name, {}).get(service)
    if listed is None:
        return False
    covered = read("sagemaker_offerings")["covered_regions"].get(service, ())
    return not listed or region not in covered or region in listed


def endpoints_scale_to_zero(region: str) -> bool:
    """Whether endpoints of inference components may have no instances there; False where that was seen refused.

    AWS publishes no list. What one account saw is a hint, not a rule.
    """
    return region not in read("sagemaker_offerings")["refuses_min_zero"]


@cache
def _offerings() -> dict[str, dict[str, dict[str, list[str]]]]:
    return {record["type"]: record for record in read("offerings")["types"]}


@cache
def _sagemaker() -> dict[str, dict[str, list[str]]]:
    return {record["name"]: record for record in read("sagemaker_offerings")["types"]}
