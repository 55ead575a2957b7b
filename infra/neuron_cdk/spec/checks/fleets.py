"""Whether a fleet is possible: the same rules for the deployment file and for ``NeuronFleet`` in code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..deployment import Deployment, Fleet
from ..findings import Problem
from .capacity import (
    base_is_possible,
    capacity_is_listed_once,
    capacity_is_sold,
    capacity_lasts,
    full_fleets_cannot_move_back,
    gangs_are_not_interrupted,
    paid_capacity_comes_first,
    reserved_zone_is_known,
)
from .common import NOTHING_KNOWN, Surroundings, network_zones
from .efa import efa_fits_types, efa_is_used
from .instance_types import fleet_types_are_alike, fleet_types_exist
from .lifecycle import (
    lifetimes_are_possible,
    refreshes_are_possible,
    spot_leaves_time_to_drain,
    warm_pools_are_possible,
)
from .releases import fleet_releases_are_possible, fleet_releases_fit_deploys
from .scaling import fleet_scaling_works, scaling_metric_exists, schedules_are_cron, schedules_are_possible
from .serving import fleet_models_fit, models_are_reached

RULES: tuple[Callable[[Fleet, Surroundings], Iterator[Problem]], ...] = (
    fleet_types_exist,
    fleet_types_are_alike,
    efa_fits_types,
    efa_is_used,
    capacity_is_sold,
    capacity_is_listed_once,
    base_is_possible,
    paid_capacity_comes_first,
    capacity_lasts,
    gangs_are_not_interrupted,
    reserved_zone_is_known,
    full_fleets_cannot_move_back,
    fleet_scaling_works,
    scaling_metric_exists,
    schedules_are_cron,
    schedules_are_possible,
    fleet_models_fit,
    models_are_reached,
    warm_pools_are_possible,
    refreshes_are_possible,
    lifetimes_are_possible,
    spot_leaves_time_to_drain,
    fleet_releases_are_possible,
    fleet_releases_fit_deploys,
)


def fleets_are_possible(deployment: Deployment) -> Iterator[Problem]:
    zones = network_zones(deployment) or None
    for name, fleet in deployment.fleets.items():
        model = deployment.models.get(fleet.model) if fleet.model else None
        around = Surroundings(
            region=deployment.environment.region,
            account=deployment.environment.account,
            zones=zones,
            model=model.compile if model else None,
        )
        for problem in fleet_problems(fleet, around):
            yield problem._replace(pointer=("fleets", name, *problem.pointer))


def fleet_problems(fleet: Fleet, around: Surroundings = NOTHING_KNOWN) -> Iterator[Problem]:
    """What is wrong with a fleet, or worth knowing about it, as far as its surroundings tell.

    Pointers start at the fleet: ``("capacity", 0)``.
    """
    for rule in RULES:
        yield from rule(fleet, around)
