"""Where the file's fleets and clusters would start instances, by zone id as the account has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...catalog import regions
from ...spec import Deployment, Fleet, TrainingCluster
from ...spec.checks.common import efa_layout, network_zones
from ..aws import Zone


def ids(zones: Collection[Zone]) -> dict[str, str]:
    """Zone ids and zone names, each to its id."""
    return {zone.id: zone.id for zone in zones} | {zone.name: zone.id for zone in zones}


def of_fleet(deployment: Deployment, fleet: Fleet, known: Mapping[str, str]) -> tuple[str, ...]:
    """The zone ids of a fleet's subnets, as its stack chooses them: with EFA one, else those that offer its types.

    Zones that the account does not have are left out.
    """
    chosen = [fleet.zone] if fleet.zone else _offering(deployment, fleet.instance_types)
    if efa_layout(fleet) != "none":
        chosen = chosen[:1]
    return tuple(known[zone] for zone in chosen if zone in known)


def of_cluster(deployment: Deployment, cluster: TrainingCluster, known: Mapping[str, str]) -> tuple[str, ...]:
    """The zone id of a cluster."""
    chosen = [cluster.zone] if cluster.zone else _offering(deployment, [cluster.instance_type])[:1]
    return tuple(known[zone] for zone in chosen if zone in known)


def _offering(deployment: Deployment, instance_types: Collection[str]) -> list[str]:
    """The network's zones that offer one of the types, as the catalogue has it; all where it cannot tell."""
    listed = network_zones(deployment)
    region = deployment.environment.region
    offered = {zone for name in instance_types for zone in regions.zones_offering(region, name)}
    return [zone for zone in listed if zone in offered] or list(listed)
