"""Rules that need the catalogue or two parts of the file. None needs the network.

A rule is a function that yields what it finds. It passes over what another rule refuses (a type that does not exist, a
model that is not there), so every mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..deployment import Deployment
from ..findings import Problem
from . import endpoints, fleets, instance_types, models, place

CHECKS: tuple[Callable[[Deployment], Iterator[Problem]], ...] = (
    place.known_region,
    place.one_network,
    place.usable_cidr,
    place.zones_of_the_region,
    place.enough_addresses,
    instance_types.ec2_types_exist,
    instance_types.ec2_types_offered_in_zone,
    instance_types.fleets_are_of_one_kind,
    instance_types.endpoint_types_exist,
    models.models_exist,
    models.sources_exist,
    models.engine_fits_target,
    models.compile_options_fit,
    fleets.efa_fits_types,
    fleets.efa_is_used,
    fleets.efa_zone_is_known,
    fleets.capacity_is_sold,
    fleets.fleet_scaling_works,
    fleets.schedules_are_cron,
    fleets.fleet_models_fit,
    fleets.clusters_are_possible,
    endpoints.serves_something,
    endpoints.endpoint_models_fit,
    endpoints.components_fit,
    endpoints.endpoint_sizes_are_possible,
    endpoints.endpoint_scaling_works,
    endpoints.rollouts_are_possible,
)


def check(deployment: Deployment) -> Iterator[Problem]:
    """Everything that is wrong with the deployment, or worth knowing about it."""
    for rule in CHECKS:
        yield from rule(deployment)
