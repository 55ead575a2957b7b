"""Who uses a model, and which software that asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neuron_cdk.catalog import software

from .deployment import Compile, Deployment
from .endpoint import Endpoint
from .source import Pointer


def uses(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    """Every mention of a model in fleets and endpoints, as the pointer to it and the model's name."""
    for name, fleet in deployment.fleets.items():
        if fleet.model:
            yield ("fleets", name, "model"), fleet.model
    for name, endpoint in deployment.endpoints.items():
        for pointer, model in endpoint_uses(endpoint):
            yield ("endpoints", name, *pointer), model


def endpoint_uses(endpoint: Endpoint) -> Iterator[tuple[Pointer, str]]:
    """Every mention of a model in one endpoint. Pointers start at the endpoint."""
    if endpoint.model:
        yield ("model",), endpoint.model
    for instance_type, model in endpoint.pool_models.items():
        yield ("pool_models", instance_type), model
    for index, component in enumerate(endpoint.components):
        yield ("components", index, "model"), component.model
    for name, variant in endpoint.variants.items():
        yield ("variants", name, "model"), variant.model
    if endpoint.shadow:
        yield ("shadow", "model"), endpoint.shadow.model


def services(deployment: Deployment, model: str) -> tuple[str, ...]:
    """What a model's software must run on: the compile job, and wherever the model is used."""
    places = {"fleets": "ec2", "endpoints": "endpoint"}
    used = [places[str(pointer[0])] for pointer, name in uses(deployment) if name == model]
    return tuple(dict.fromkeys(["processing", *used]))


def compiles(engine: str, target: str, wherever: Iterable[str]) -> bool:
    """Whether some SDK has the engine for the target on all of the services."""
    if (engine == "onnxruntime") != (target == "cpu"):
        return False
    try:
        software.newest_common_sdk(target=target, engine=engine, services=wherever)
    except software.DeadCombination:
        return False
    return True


def sdk(wanted: Compile) -> str:
    """The SDK a model is compiled with: the file's, or the newest that fits every use there could be.

    Endpoints count where the engine has a server for them, used or not: a new endpoint must not mean a new artifact.

    :raises neuron_cdk.catalog.software.DeadCombination: when there is none.
    """
    if wanted.sdk:
        return wanted.sdk
    try:
        return software.newest_common_sdk(
            target=wanted.target, engine=wanted.engine, services=("processing", "endpoint")
        )
    except software.DeadCombination:
        return software.newest_common_sdk(target=wanted.target, engine=wanted.engine, services=("processing",))
