"""Whether an endpoint is possible: the same rules for the deployment file and for ``NeuronEndpoint`` in code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..deployment import Deployment
from ..endpoint import Endpoint
from ..findings import Problem
from .common import NOTHING_KNOWN, Surroundings
from .endpoint_components import components_fit_instances, components_fit_together
from .endpoint_hosting import models_fit_disks, reservations_are_possible, volumes_are_possible, waits_have_pools
from .endpoint_models import models_fit_types, pools_are_alike, pools_have_their_models, serves_something
from .endpoint_modes import modes_are_possible
from .endpoint_sizes import endpoint_scaling_works, endpoint_sizes_are_possible, schedules_move_instances
from .endpoint_variants import shadows_are_possible, traffic_has_weights
from .instance_types import endpoint_types_exist
from .releases import releases_are_possible, releases_fit_deploys
from .rollouts import rollouts_are_possible, rollouts_are_watched, waits_are_possible
from .scaling import schedules_are_cron, schedules_are_possible

RULES: tuple[Callable[[Endpoint, Surroundings], Iterator[Problem]], ...] = (
    endpoint_types_exist,
    serves_something,
    pools_are_alike,
    pools_have_their_models,
    models_fit_types,
    components_fit_instances,
    components_fit_together,
    modes_are_possible,
    traffic_has_weights,
    shadows_are_possible,
    volumes_are_possible,
    models_fit_disks,
    reservations_are_possible,
    waits_have_pools,
    endpoint_sizes_are_possible,
    endpoint_scaling_works,
    schedules_are_cron,
    schedules_are_possible,
    schedules_move_instances,
    rollouts_are_possible,
    rollouts_are_watched,
    waits_are_possible,
    releases_are_possible,
    releases_fit_deploys,
)


def endpoints_are_possible(deployment: Deployment) -> Iterator[Problem]:
    around = Surroundings(
        region=deployment.environment.region,
        account=deployment.environment.account,
        models={name: model.compile for name, model in deployment.models.items()},
        sizes_gb={name: model.size_gb for name, model in deployment.models.items()},
    )
    for name, endpoint in deployment.endpoints.items():
        for problem in endpoint_problems(endpoint, around):
            yield problem._replace(
                pointer=("endpoints", name, *problem.pointer), given=problem.given if problem.pointer else name
            )


def endpoint_problems(endpoint: Endpoint, around: Surroundings = NOTHING_KNOWN) -> Iterator[Problem]:
    """What is wrong with an endpoint, or worth knowing about it, as far as its surroundings tell.

    Pointers start at the endpoint: ``("rollout", "kind")``.
    """
    for rule in RULES:
        yield from rule(endpoint, around)
