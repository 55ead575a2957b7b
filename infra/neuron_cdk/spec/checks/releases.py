"""What the release pipeline can release to (``docs/adr/0015-a-release-machine-for-each-target.md``)."""

from __future__ import annotations

from collections.abc import Iterator

from ..deployment import Fleet, Refresh
from ..endpoint import Endpoint
from ..endpoints import on_inf1
from ..findings import Problem
from .common import Surroundings
from .rollouts import waits_of

# CloudFormation waits an hour for a custom resource; instances must start in it as well.
_MOST_WAITS = 40


def releases_are_possible(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.managed_by != "pipeline":
        if endpoint.release is not None:
            yield Problem(
                "NCDK-RELEASE-002",
                ("release",),
                "deploys change this endpoint, and a deploy is its own approval",
                fix="add managed_by: pipeline, or remove release",
            )
        return
    for field, what in (
        ("components", "components are updated one by one, by deploys"),
        ("variants", "which of several variants a new artifact is for is a deploy's to say"),
        ("shadow", "a shadow compares a new model with the old one; a release replaces it"),
        ("pool_models", "a release is one artifact, and pools with models of their own need one each"),
    ):
        if getattr(endpoint, field):
            yield Problem(
                "NCDK-RELEASE-001", (field,), what, "one model", f"remove {field}, or take managed_by: cloudformation"
            )


def releases_fit_deploys(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.managed_by != "pipeline" or on_inf1(endpoint):
        return
    waits, minutes = waits_of(endpoint)
    if minutes > _MOST_WAITS:
        yield Problem(
            "NCDK-RELEASE-003",
            ("rollout", "wait_minutes" if waits else "bake_minutes"),
            f"the waits of a rollout take {minutes} minutes; CloudFormation waits an hour, after which a deploy that "
            "changes the endpoint fails and is taken back. New artifacts without a deploy take the time they need",
            f"waits of up to {_MOST_WAITS} minutes",
        )


def fleet_releases_are_possible(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    if fleet.managed_by != "pipeline":
        if fleet.release is not None:
            yield Problem(
                "NCDK-RELEASE-002",
                ("release",),
                "deploys change this fleet, and a deploy is its own approval",
                fix="add managed_by: pipeline, or remove release",
            )
        return
    if fleet.purpose == "training":
        yield Problem(
            "NCDK-RELEASE-004",
            ("managed_by",),
            "a training fleet serves no model, and its members are not replaced under their job",
            "cloudformation",
        )
    elif fleet.model is None:
        yield Problem(
            "NCDK-RELEASE-004",
            ("managed_by",),
            "what the release pipeline brings is a model, and the fleet serves none",
            "cloudformation",
            "add model, or remove managed_by",
        )


def fleet_releases_fit_deploys(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    if fleet.managed_by != "pipeline" or fleet.model is None:
        return
    refresh = fleet.refresh or Refresh()
    minutes = refresh.bake_minutes * (len(refresh.checkpoints) + 1)
    if minutes > _MOST_WAITS:
        yield Problem(
            "NCDK-RELEASE-003",
            ("refresh", "bake_minutes"),
            f"the stops of a release, at each checkpoint and at the end, take {minutes} minutes; CloudFormation "
            "waits an hour, after which a deploy that changes the fleet fails and is taken back. New artifacts without "
            "a deploy take the time they need",
            f"stops of up to {_MOST_WAITS} minutes together",
        )
