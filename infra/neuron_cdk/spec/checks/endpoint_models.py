"""What an endpoint serves, and whether its instances run it."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog.instances import InstanceType

from ..endpoint import Endpoint
from ..endpoints import MAIN, Variant, variants
from ..findings import Problem
from ..hosts import instance
from ..source import Pointer
from .common import Surroundings, fits_target, holds_model, listed_types, place_of, type_at

_MOST_POOLS = 5  # ProductionVariant.InstancePools


def serves_something(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if (endpoint.model is None) == (not endpoint.components):
        yield Problem(
            "NCDK-ENDPOINT-001",
            (),
            "an endpoint serves either one model or components",
            "model, or components",
            "keep one" if endpoint.model else "add model: …",
        )
    elif endpoint.components:
        for field in ("variants", "shadow", "pool_models"):
            if getattr(endpoint, field):
                yield Problem(
                    "NCDK-ENDPOINT-011",
                    (field,),
                    "components bring their own models: SageMaker places them on one variant, and every pool runs them",
                    fix=f"remove {field}, or give the endpoint one model instead of components",
                )
    for at, names in listed_types(endpoint):
        if len(names) > _MOST_POOLS:
            message = "SageMaker takes no more instance pools"
            yield Problem("NCDK-ENDPOINT-002", at, message, f"up to {_MOST_POOLS} types")


def pools_have_their_models(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    for name in endpoint.pool_models:
        if name not in endpoint.instance_types:
            yield Problem(
                "NCDK-ENDPOINT-006",
                ("pool_models", name),
                "the endpoint has no pool of this instance type",
                ", ".join(endpoint.instance_types),
                "add it to instance_types, or remove it here",
                name,
                at_name=True,
            )


def pools_are_alike(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    """One host image serves all pools of a variant, and there is none that drives different accelerators."""
    for at, names in listed_types(endpoint):
        for index, first, other in _strangers(names):
            yield Problem(
                "NCDK-ENDPOINT-007",
                (*at, index),
                f"{names[0]} has {_drives(first)} and {names[index]} {_drives(other)}: all pools of a variant share one"
                " InferenceAmiVersion, and AWS documents none that drives both",
                fix="serve it from a variant of its own"
                + ("; no engine here compiles for it, so from an endpoint of yours" if other.target is None else ""),
            )


def models_fit_types(endpoint: Endpoint, around: Surroundings) -> Iterator[Problem]:
    for variant in variants(endpoint):
        strangers = {index for index, _, _ in _strangers(variant.types)}
        for index, name in enumerate(variant.types):
            if index in strangers:
                continue
            for model in _models_on(endpoint, variant, name):
                wanted = around.models.get(model)
                if wanted is None:
                    continue
                at = _fault(endpoint, variant, index)
                for problem in (
                    *fits_target((), [name], model, wanted),
                    *holds_model((), [name], model, wanted),
                ):
                    pools = problem.code == "NCDK-TYPE-008" and variant.name == MAIN and len(variant.types) > 1
                    more = f", or say in pool_models what {name} serves" if pools and not endpoint.components else ""
                    yield problem._replace(pointer=at, fix=problem.fix + more)


def _models_on(endpoint: Endpoint, variant: Variant, instance_type: str) -> list[str]:
    model = variant.model_of(instance_type)
    return [model] if model else list(dict.fromkeys(component.model for component in endpoint.components))


def _fault(endpoint: Endpoint, variant: Variant, index: int) -> Pointer:
    """Where the file has what does not fit: the pool's model, a type of the variant's, or its model."""
    name = variant.types[index]
    if name in variant.pool_models:
        return ("pool_models", name)
    place, at = place_of(endpoint, variant), type_at(endpoint, variant, index)
    return (*place, "model") if place and at[0] == "instance_types" else at


def _strangers(names: tuple[str, ...]) -> Iterator[tuple[int, InstanceType, InstanceType]]:
    """Types that another host image drives than the first: which, the first, and the other."""
    first = instance(names[0])
    for index, name in enumerate(names):
        host = instance(name)
        if first and host and _drives(host) != _drives(first):
            yield index, first, host


def _drives(host: InstanceType) -> str:
    """What a host image has to drive. Inf1 has a driver of its own: no InferenceAmiVersion is for it."""
    if host.target is None:
        return "GPUs"
    if host.target == "cpu":
        return "no accelerators"
    return "first-generation Inferentia" if host.target == "inf1" else "Neuron devices"
