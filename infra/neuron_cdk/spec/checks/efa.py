"""EFA: that a fleet's types have it, alike, and that training uses it."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog import instances
from neuron_cdk.catalog.instances import InstanceType

from ..deployment import EfaLayout, Fleet
from ..findings import Problem
from ..hosts import instance
from ..source import Pointer
from .common import Surroundings, efa_layout


def efa_fits_types(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    """One launch template gives all types of a fleet the interfaces of the first."""
    first, layout = instance(fleet.instance_types[0]), efa_layout(fleet)
    if layout == "none" or first is None:
        return
    for index, host in enumerate(map(instance, fleet.instance_types)):
        at: Pointer = ("efa", "layout") if fleet.efa else ("instance_types", index)
        if host is None:
            continue
        if not _carries(host, layout):
            alike = [each for each in instances.all_types() if each.target == host.target]
            yield Problem(
                "NCDK-EFA-001",
                at,
                f"{host.name} has no EFA" if not host.efa_interfaces else f"{host.name} has no EFA of layout {layout}",
                ", ".join(["none", *(each.name for each in alike if _carries(each, layout))]),
                "remove efa, or take a type that has it" if fleet.efa else "give the type a fleet of its own",
            )
        elif _carries(first, layout) and instances.interfaces(host, layout) != instances.interfaces(first, layout):
            yield Problem(
                "NCDK-EFA-002",
                ("instance_types", index),
                f"{host.name} has {host.efa_interfaces} EFA interfaces and {first.name} {first.efa_interfaces}"
                if host.efa_interfaces != first.efa_interfaces
                else f"{host.name} and {first.name} have their EFA interfaces on different cards",
                fix="give the type a fleet of its own",
            )


def efa_is_used(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    host = instance(fleet.instance_types[0])
    trains_together = fleet.purpose == "training" and fleet.size.max > 1
    if trains_together and fleet.efa and fleet.efa.layout == "none" and host and host.efa_interfaces:
        yield Problem(
            "NCDK-EFA-003",
            ("efa", "layout"),
            "without EFA, instances that train together wait for ordinary networking",
            "efa, efa-only",
            "remove efa to get the layout the catalogue has for the type",
        )


def _carries(host: InstanceType, layout: EfaLayout) -> bool:
    try:
        return layout != "none" and bool(instances.interfaces(host, layout))
    except ValueError:
        return False
