"""What a deployment file may say today and a later version builds: an info here, an error at synth, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from .deployment import Deployment
from .findings import Finding, Problem, find
from .source import Pointer
from .uses import uses


def later(deployment: Deployment) -> tuple[Finding, ...]:
    """Everything in the deployment that is not built yet."""
    return tuple(find(problem, deployment.source) for problem in not_built(deployment))


def not_built(deployment: Deployment) -> Iterator[Problem]:
    tried = {name for pointer, name in uses(deployment) if pointer[0] == "endpoints"}
    for name, model in deployment.models.items():
        if model.smoke_test and name not in tried:
            what = "smoke tests of a model that no endpoint serves are"
            yield _later("003", ("models", name, "smoke_test"), what)
    for name in deployment.training_clusters:
        yield _later("014", ("training_clusters", name), "training clusters are", given=name)
    if deployment.budget:
        yield _later("015", ("budget",), "budgets are")
    if deployment.delivery:
        yield _later("016", ("delivery",), "delivery is")


def _later(
    number: str,
    at: Pointer,
    what: str,
    *,
    fix: str = "leave it out for now",
    given: str | None = None,
) -> Problem:
    message = f"{what} not built yet: valid here, refused at synth"
    return Problem(f"NCDK-LATER-{number}", at, message, "", fix, given)
