"""Endpoints: what they serve, on what, how many, and how they change."""

from __future__ import annotations

from collections.abc import Iterator

from ..deployment import Deployment
from ..endpoint import Endpoint
from ..findings import Problem
from ..source import Pointer
from .common import fits_target, holds_model, instance

_METRICS = {"realtime": ("concurrent-requests", "invocations-per-instance"), "async": ("backlog",)}
_MOST_POOLS = 5  # ProductionVariant.InstancePools
# Shares that SageMaker's deployment policies take, percent: a first share, equal shares, batches of instances.
_SHARES = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}


def serves_something(deployment: Deployment) -> Iterator[Problem]:
    for name, endpoint in deployment.endpoints.items():
        if (endpoint.model is None) == (not endpoint.components):
            yield Problem(
                "NCDK-ENDPOINT-001",
                ("endpoints", name),
                "an endpoint serves either one model or components",
                "model, or components",
                "keep one" if endpoint.model else "add model: …",
                given=name,
            )
        if len(endpoint.instance_types) > _MOST_POOLS:
            yield Problem(
                "NCDK-ENDPOINT-002",
                ("endpoints", name, "instance_types"),
                "SageMaker takes no more instance pools",
                f"up to {_MOST_POOLS} types",
            )


def endpoint_models_fit(deployment: Deployment) -> Iterator[Problem]:
    for name, endpoint in deployment.endpoints.items():
        at = ("endpoints", name, "instance_types")
        served = [endpoint.model, *(component.model for component in endpoint.components)]
        for model_name in dict.fromkeys(each for each in served if each in deployment.models):
            wanted = deployment.models[str(model_name)].compile
            yield from fits_target(at, endpoint.instance_types, str(model_name), wanted)
            yield from holds_model(at, endpoint.instance_types, str(model_name), wanted)


def components_fit(deployment: Deployment) -> Iterator[Problem]:
    for name, endpoint in deployment.endpoints.items():
        models = [component.model for component in endpoint.components]
        for index, component in enumerate(endpoint.components):
            at: Pointer = ("endpoints", name, "components", index)
            if component.model in models[:index]:
                yield Problem(
                    "NCDK-FIELD-008", (*at, "model"), "this model has a component already", fix="raise copies"
                )
            for host in filter(None, map(instance, endpoint.instance_types)):
                # Whether SageMaker counts chips or cores here is undocumented; more than cores there cannot be.
                most = max(host.accelerators, host.neuron_cores)
                if component.accelerators > most:
                    yield Problem(
                        "NCDK-ENDPOINT-003",
                        (*at, "accelerators"),
                        f"{host.name} has {most}",
                        f"1 to {most}",
                    )
                if component.memory_mib > host.memory_gib * 1024:
                    yield Problem(
                        "NCDK-ENDPOINT-004",
                        (*at, "memory_mib"),
                        f"{host.name} has {host.memory_gib:g} GiB of memory",
                        f"less than {host.memory_gib * 1024:g}, for the host needs some too",
                    )


def endpoint_sizes_are_possible(deployment: Deployment) -> Iterator[Problem]:
    for name, endpoint in deployment.endpoints.items():
        at = ("endpoints", name)
        if endpoint.size.max == 0:
            yield Problem(
                "NCDK-SIZE-004", (*at, "size", "max"), "an endpoint without instances answers nobody", "1 or more"
            )
        elif endpoint.size.min == 0 and not _may_be_empty(endpoint):
            yield Problem(
                "NCDK-SIZE-003",
                (*at, "size", "min"),
                "a real-time endpoint keeps at least one instance",
                "1 or more; 0 with mode async, or with components whose copies.min is 0",
            )


def endpoint_scaling_works(deployment: Deployment) -> Iterator[Problem]:
    for name, endpoint in deployment.endpoints.items():
        scaling, at = endpoint.scaling, ("endpoints", name, "scaling")
        if scaling is None:
            if endpoint.size.max > endpoint.size.min:
                yield Problem(
                    "NCDK-SCALE-005",
                    ("endpoints", name, "size", "max"),
                    f"nothing scales this endpoint, so it stays at {endpoint.size.min}",
                    fix="add scaling, or make max and min equal",
                )
            continue
        if scaling.metric not in _METRICS[endpoint.mode]:
            yield Problem(
                "NCDK-SCALE-001",
                (*at, "metric"),
                f"mode {endpoint.mode} has no such metric",
                ", ".join(_METRICS[endpoint.mode]),
            )
        if endpoint.size.min == endpoint.size.max:
            yield Problem("NCDK-SCALE-003", at, "there is nothing to scale: min and max are equal")


def rollouts_are_possible(deployment: Deployment) -> Iterator[Problem]:
    for name, endpoint in deployment.endpoints.items():
        rollout, at = endpoint.rollout, ("endpoints", name, "rollout")
        if rollout.kind in _SHARES:
            lowest, highest = _SHARES[rollout.kind]
            if rollout.percent is not None and not lowest <= rollout.percent <= highest:
                yield Problem(
                    "NCDK-ROLLOUT-001",
                    (*at, "percent"),
                    f"SageMaker takes no such share for {rollout.kind}",
                    f"{lowest} to {highest}",
                )
            if any(host and host.target == "inf1" for host in map(instance, endpoint.instance_types)):
                yield Problem(
                    "NCDK-ROLLOUT-004",
                    (*at, "kind"),
                    "SageMaker updates Inf1 endpoints all at once, whatever was asked for",
                )
        elif rollout.percent is not None:
            yield Problem(
                "NCDK-ROLLOUT-002",
                (*at, "percent"),
                "all-at-once has no shares",
                fix="remove percent",
            )
        if endpoint.components and rollout.kind in ("canary", "linear"):
            yield Problem("NCDK-ROLLOUT-003", (*at, "kind"), "components take no such rollout", "rolling, all-at-once")


def _may_be_empty(endpoint: Endpoint) -> bool:
    if endpoint.mode == "async":
        return True
    return bool(endpoint.components) and all(component.copies.min == 0 for component in endpoint.components)
