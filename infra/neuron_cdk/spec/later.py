"""What a deployment file may say today and a later version builds: an info here, an error at synth, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from .deployment import Deployment, Endpoint, HuggingFaceSource, Model, Rollout
from .findings import Finding, Problem, find
from .source import Pointer

ENGINES = ("torch-neuronx", "neuronx-cc", "onnxruntime")


def later(deployment: Deployment) -> tuple[Finding, ...]:
    """Everything in the deployment that is not built yet."""
    return tuple(find(problem, deployment.source) for problem in not_built(deployment))


def not_built(deployment: Deployment) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        yield from _model(("models", name), model)
    for name, endpoint in deployment.endpoints.items():
        yield from _endpoint(("endpoints", name), endpoint)
    for name in deployment.training_clusters:
        yield _later("014", ("training_clusters", name), "training clusters are", given=name)
    if deployment.budget:
        yield _later("015", ("budget",), "budgets are")
    if deployment.delivery:
        yield _later("016", ("delivery",), "delivery is")


def _model(at: Pointer, model: Model) -> Iterator[Problem]:
    if isinstance(model.source, HuggingFaceSource):
        yield _later(
            "001", (*at, "source", "huggingface"), "models from Hugging Face are", fix="copy the commit to S3: {s3: …}"
        )
    if model.compile.engine not in ENGINES:
        yield _later("002", (*at, "compile", "engine"), "this engine is", allowed=", ".join(ENGINES))
    elif model.compile.tensor_parallel > 1:
        yield _later("017", (*at, "compile", "tensor_parallel"), "more than one core a model is", allowed="1")
    if model.smoke_test:
        yield _later("003", (*at, "smoke_test"), "smoke tests are")


def _endpoint(at: Pointer, endpoint: Endpoint) -> Iterator[Problem]:
    if endpoint.mode == "async":
        yield _later("008", (*at, "mode"), "asynchronous endpoints are", allowed="realtime")
    if endpoint.managed_by == "pipeline":
        yield _later("009", (*at, "managed_by"), "endpoints of the release pipeline are", allowed="cloudformation")
    if endpoint.components:
        yield _later("010", (*at, "components"), "components are", fix="give the endpoint one model")
    if len(endpoint.instance_types) > 1:
        yield _later("011", (*at, "instance_types"), "pools of several instance types are", allowed="one type")
    if endpoint.scaling:
        yield _later("012", (*at, "scaling"), "endpoint scaling is")
    if endpoint.rollout != Rollout():
        yield _later("013", (*at, "rollout"), "rollouts are", allowed="{kind: all-at-once}, which is the default")


def _later(
    number: str,
    at: Pointer,
    what: str,
    *,
    allowed: str = "",
    fix: str = "leave it out for now",
    given: str | None = None,
) -> Problem:
    message = f"{what} not built yet: valid here, refused at synth"
    return Problem(f"NCDK-LATER-{number}", at, message, allowed, fix, given)
