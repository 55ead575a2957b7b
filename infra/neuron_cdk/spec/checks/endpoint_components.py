"""Whether an endpoint's components have room on its instances."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog.instances import InstanceType

from ..endpoint import Component, Endpoint
from ..findings import Problem
from ..hosts import instance
from ..source import Pointer
from .common import Surroundings

_MIB = 1024


def components_fit_instances(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    """Each on its own."""
    models = [component.model for component in endpoint.components]
    for index, component in enumerate(endpoint.components):
        at: Pointer = ("components", index)
        if component.model in models[:index]:
            yield Problem("NCDK-FIELD-008", (*at, "model"), "this model has a component already", fix="raise copies")
        if component.copies.max == 0:
            yield Problem(
                "NCDK-SIZE-004", (*at, "copies", "max"), "a component without copies answers nobody", "1 or more"
            )
        for host in filter(None, map(instance, endpoint.instance_types)):
            yield from _fits(at, component, host)


def components_fit_together(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    """All copies at once on all instances there may be; how they are cut into instances is SageMaker's to decide."""
    for host in filter(None, map(instance, endpoint.instance_types)):
        if any(problem for each in endpoint.components for problem in _fits((), each, host)):
            continue
        for what, has in (
            ("accelerators", _accelerators(host)),
            ("memory_mib", host.memory_gib * _MIB),
            ("cpus", host.vcpu),
        ):
            room = has * endpoint.size.max
            least = sum(_asked(each, what) * each.copies.min for each in endpoint.components)
            most = sum(_asked(each, what) * each.copies.max for each in endpoint.components)
            if least > room:
                yield Problem(
                    "NCDK-ENDPOINT-026",
                    ("components",),
                    f"the fewest copies ask for {what} {least:g} together, and {_hosts(endpoint, host)} {room:g}",
                    fix="lower copies.min, or raise size.max",
                    given=f"{len(endpoint.components)} components",
                )
                return
            if most > room:
                yield Problem(
                    "NCDK-ENDPOINT-027",
                    ("components",),
                    f"all copies at max ask for {what} {most:g} together, and {_hosts(endpoint, host)} {room:g}",
                    fix="raise size.max, unless they are never all at their max at once",
                    given=f"{len(endpoint.components)} components",
                )
                return


def _fits(at: Pointer, component: Component, host: InstanceType) -> Iterator[Problem]:
    most = _accelerators(host)
    if component.accelerators > most:
        allowed = f"1 to {most}" if most else "0, as on every host without accelerators"
        yield Problem("NCDK-ENDPOINT-003", (*at, "accelerators"), f"{host.name} has {most}", allowed)
    elif most and not component.accelerators:
        yield Problem(
            "NCDK-ENDPOINT-024",
            (*at, "accelerators"),
            f"on {host.name} a copy without accelerators runs no program that was compiled for them",
            f"1 to {most}",
            "add accelerators: 1",
        )
    if component.memory_mib >= host.memory_gib * _MIB:
        yield Problem(
            "NCDK-ENDPOINT-004",
            (*at, "memory_mib"),
            f"{host.name} has {host.memory_gib:g} GiB of memory",
            f"less than {host.memory_gib * _MIB:g}, for the host needs some too",
        )
    if (component.cpus or 0) > host.vcpu:
        yield Problem("NCDK-ENDPOINT-025", (*at, "cpus"), f"{host.name} has {host.vcpu}", f"0.25 to {host.vcpu}")


def _accelerators(host: InstanceType) -> int:
    """Whether SageMaker counts chips or cores here is undocumented; more than cores there cannot be."""
    return max(host.accelerators, host.neuron_cores)


def _asked(component: Component, what: str) -> float:
    return {
        "accelerators": component.accelerators,
        "memory_mib": component.memory_mib,
        "cpus": component.cpus or 0,
    }[what]


def _hosts(endpoint: Endpoint, host: InstanceType) -> str:
    count = endpoint.size.max
    return f"{count} {host.name} have" if count > 1 else f"one {host.name} has"
