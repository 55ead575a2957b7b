"""Rules that need the catalogue or two parts of the file. None needs the network.

A rule is a function that yields what it finds. It passes over what another rule refuses (a type that does not exist, a
model that is not there), so every mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..deployment import Deployment
from ..findings import Problem
from . import capacity, clusters, endpoints, engines, fleets, instance_types, models, network, sources, zones
from .common import Surroundings
from .endpoints import endpoint_problems
from .fleets import fleet_problems
from .required import require_possible

__all__ = ["CHECKS", "Surroundings", "check", "endpoint_problems", "fleet_problems", "require_possible"]

CHECKS: tuple[Callable[[Deployment], Iterator[Problem]], ...] = (
    network.known_region,
    network.one_network,
    network.usable_cidr,
    network.range_fits_zones,
    network.enough_addresses,
    zones.zones_are_the_regions,
    zones.pinned_zones_are_the_networks,
    zones.types_are_offered_in_zone,
    zones.efa_zone_can_be_chosen,
    instance_types.cluster_types_exist,
    models.models_exist,
    sources.sources_exist,
    sources.sources_can_be_had,
    models.engine_fits_target,
    models.compiles_have_a_price,
    engines.compile_options_fit,
    fleets.fleets_are_possible,
    capacity.reservations_have_one_fleet,
    clusters.clusters_are_possible,
    endpoints.endpoints_are_possible,
)


def check(deployment: Deployment) -> Iterator[Problem]:
    """Everything that is wrong with the deployment, or worth knowing about it."""
    for rule in CHECKS:
        yield from rule(deployment)
