"""Hourly list prices, in US dollars, as somebody read them on a stated day.

A price that no source gives is None, never a guess. Prices are for planning; the bill is AWS's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from neuron_cdk.catalog._data import read


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars an hour for one instance. ``as_of`` is a date, or "undated" where the source states none;
    ``source`` is an id of :mod:`~neuron_cdk.catalog.provenance`."""

    usd: float
    as_of: str
    source: str


def on_demand_hourly(region: str, instance_type: str) -> Price | None:
    """The Linux on-demand price of an EC2 type, or None when no source gives it."""
    return _prices("on_demand").get((region, instance_type))


def spot_hourly(region: str, instance_type: str) -> Price | None:
    """A spot price of an EC2 type: the lowest of the region's zones in the newest reading there is. It moves hourly."""
    return _prices("spot").get((region, instance_type))


def sagemaker_hourly(region: str, ml_name: str) -> Price | None:
    """The price of an ``ml.`` type on an endpoint, or None when no source gives it."""
    return _prices("sagemaker").get((region, ml_name))


def processing_hourly(region: str, ml_name: str) -> Price | None:
    """The price of an ``ml.`` type in a processing job, or None when no source gives it.

    The source has one price for whatever a type runs, so this may be off by up to a cent an hour.
    """
    return _prices("processing").get((region, ml_name))


@cache
def _prices(kind: str) -> dict[tuple[str, str], Price]:
    """Prices by region and type. Batches are stored undated first, then by date, so the newest wins."""
    return {
        (batch["region"], name): Price(usd, batch["as_of"], batch["source"])
        for batch in read("prices")[kind]
        for name, usd in batch["usd"].items()
    }
