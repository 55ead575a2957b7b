"""Fleets and training clusters: EFA, capacity, scaling, the model that runs there."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog import instances

from ..cron import mistake
from ..deployment import Deployment, OnDemand, ReservedCapacity
from ..findings import Problem
from .common import efa_layout, fits_target, holds_model, instance, some


def efa_fits_types(deployment: Deployment) -> Iterator[Problem]:
    """One launch template gives all types of a fleet the interfaces of the first."""
    for name, fleet in deployment.fleets.items():
        first = instance(fleet.instance_types[0])
        if efa_layout(fleet) == "none" or first is None:
            continue
        for index, host in enumerate(map(instance, fleet.instance_types)):
            asked = ("fleets", name, "efa", "layout") if fleet.efa else ("fleets", name, "instance_types", index)
            if host is None:
                continue
            if not host.efa_interfaces:
                alike = [each for each in instances.all_types() if each.target == host.target]
                yield Problem(
                    "NCDK-EFA-001",
                    asked,
                    f"{host.name} has no EFA",
                    ", ".join(["none", *(each.name for each in alike if each.efa_interfaces)]),
                    "remove efa, or take a type that has it" if fleet.efa else "give the type a fleet of its own",
                )
            elif first.efa_interfaces and host.efa_interfaces != first.efa_interfaces:
                yield Problem(
                    "NCDK-EFA-002",
                    ("fleets", name, "instance_types", index),
                    f"{host.name} has {host.efa_interfaces} EFA interfaces and {first.name} {first.efa_interfaces}",
                    fix="give the type a fleet of its own",
                )


def efa_is_used(deployment: Deployment) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        host = instance(fleet.instance_types[0])
        trains_together = fleet.purpose == "training" and fleet.size.max > 1
        if trains_together and fleet.efa and fleet.efa.layout == "none" and host and host.efa_interfaces:
            yield Problem(
                "NCDK-EFA-003",
                ("fleets", name, "efa", "layout"),
                "without EFA, instances that train together wait for ordinary networking",
                "efa, efa-only",
                "remove efa to get the layout the catalogue has for the type",
            )


def capacity_is_sold(deployment: Deployment) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        for index, capacity in enumerate(fleet.capacity):
            pointer = ("fleets", name, "capacity", index)
            if capacity in fleet.capacity[:index]:
                yield Problem("NCDK-FIELD-008", pointer, "this is in the list already", fix="remove it")
            if isinstance(capacity, OnDemand) and capacity.base is not None and capacity.base > fleet.size.max:
                yield Problem(
                    "NCDK-CAPACITY-003",
                    (*pointer, "base"),
                    "base is above the fleet's max",
                    f"0 to {fleet.size.max}",
                )
            kind = "on-demand" if isinstance(capacity, ReservedCapacity) else capacity.kind
            for host in map(instance, fleet.instance_types):
                if host and kind not in host.purchase:
                    yield Problem(
                        "NCDK-CAPACITY-002",
                        (*pointer, "kind"),
                        f"{host.name} is not sold as {kind}",
                        ", ".join(sorted(host.purchase)),
                    )


def fleet_scaling_works(deployment: Deployment) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        scaling, at = fleet.scaling, ("fleets", name, "scaling")
        if scaling is None:
            continue
        if scaling.metric == "neuroncore-utilization" and scaling.target > 100:
            yield Problem("NCDK-SCALE-002", (*at, "target"), "utilization is a percentage", "above 0, to 100")
        if fleet.size.min == fleet.size.max:
            yield Problem("NCDK-SCALE-003", at, "there is nothing to scale: min and max are equal")
        if scaling.metric == "neuroncore-utilization" and fleet.size.min == 0:
            yield Problem(
                "NCDK-SCALE-004",
                ("fleets", name, "size", "min"),
                "an empty fleet has no utilization, so this scaling never brings it back from zero",
                fix="min 1, or grow it from zero by hand",
            )
        if fleet.purpose == "training":
            yield Problem(
                "NCDK-SCALE-006",
                at,
                "a training fleet moves as one: scaling by instance takes members out of running jobs",
                fix="remove scaling, or make it an inference fleet",
            )


def schedules_are_cron(deployment: Deployment) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        for index, entry in enumerate(fleet.schedule):
            wrong = mistake(entry.cron)
            if wrong:
                yield Problem(
                    "NCDK-SCHEDULE-001",
                    ("fleets", name, "schedule", index, "cron"),
                    wrong,
                    'minute hour day-of-month month day-of-week year, such as "0 8 ? * MON-FRI *"',
                )


def fleet_models_fit(deployment: Deployment) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        if fleet.model is None:
            continue
        if fleet.purpose == "training":
            yield Problem(
                "NCDK-FLEET-002",
                ("fleets", name, "model"),
                "a training fleet serves no model",
                fix="remove model, or set purpose to inference",
            )
        model = deployment.models.get(fleet.model)
        if model:
            at = ("fleets", name, "instance_types")
            yield from fits_target(at, fleet.instance_types, fleet.model, model.compile)
            yield from holds_model(at, fleet.instance_types, fleet.model, model.compile)


def clusters_are_possible(deployment: Deployment) -> Iterator[Problem]:
    for name, cluster in deployment.training_clusters.items():
        at = ("training_clusters", name)
        host = instance(cluster.instance_type)
        if cluster.engine == "hyperpod" and host and "cluster" not in host.sagemaker_services:
            able = [each.name for each in instances.all_types() if "cluster" in each.sagemaker_services]
            yield Problem("NCDK-CLUSTER-001", (*at, "instance_type"), f"HyperPod does not run {host.name}", some(able))
        size = cluster.storage.fsx_lustre_gib if cluster.storage else None
        if size is not None and size != 1200 and size % 2400:
            yield Problem(
                "NCDK-CLUSTER-002",
                (*at, "storage", "fsx_lustre_gib"),
                "FSx for Lustre comes in other sizes",
                "1200, 2400 and multiples of 2400",
            )
