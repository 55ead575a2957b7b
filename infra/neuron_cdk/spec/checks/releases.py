"""What the release pipeline can release to (``docs/adr/0015-a-release-machine-for-each-target.md``)."""

from __future__ import annotations

from collections.abc import Iterator

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
