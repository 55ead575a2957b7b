"""Which zones a deployment uses. Decided from the file and the catalogue alone, so every synth decides alike."""

from __future__ import annotations

from neuron_cdk.catalog import regions

from .deployment import Deployment


def zones(deployment: Deployment) -> tuple[str, ...]:
    """The network's zones: those the file lists, in its order, or as many as it counts, sorted.

    Zones that the file names anywhere come first; after them, one by one, the zone that offers most of the instance
    types that none so far does. A later fleet can change that choice, and so move subnets: a deployment that will grow
    had better list its zones.

    :raises ValueError: when the catalogue does not know enough zones to choose from.
    """
    wanted = deployment.network.availability_zones
    if isinstance(wanted, tuple):
        return wanted
    region = deployment.environment.region
    known = regions.get(region).zones
    if len(known) < wanted:
        raise ValueError(f"{region} has {len(known)} known zones, and the file asks for {wanted}")
    offers = {name: set(regions.zones_offering(region, name)) for name in ec2_types(deployment)}
    pinned = [fleet.zone for fleet in deployment.fleets.values()]
    pinned += [cluster.zone for cluster in deployment.training_clusters.values()]
    chosen = [zone for zone in dict.fromkeys(pinned) if zone in known][:wanted]
    while len(chosen) < wanted:
        missing = [zones for zones in offers.values() if not zones.intersection(chosen)]
        chosen.append(
            max(
                (zone for zone in known if zone not in chosen),
                key=lambda zone: (
                    sum(zone in zones for zones in missing),
                    sum(zone in zones for zones in offers.values()),
                    -known.index(zone),
                ),
            )
        )
    return tuple(sorted(chosen))


def ec2_types(deployment: Deployment) -> tuple[str, ...]:
    """Every EC2 instance type that the file asks for, once."""
    fleets = [name for fleet in deployment.fleets.values() for name in fleet.instance_types]
    clusters = [cluster.instance_type for cluster in deployment.training_clusters.values()]
    return tuple(dict.fromkeys([*fleets, *clusters]))
