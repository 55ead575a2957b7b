"""How many instances an endpoint has, and what changes that."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog import regions

from ..base import Range
from ..endpoint import Endpoint
from ..endpoints import variants
from ..findings import Problem
from ..source import Pointer
from .common import Surroundings, size_at

_METRICS = {"realtime": ("concurrent-requests", "invocations-per-instance"), "async": ("backlog",)}


def endpoint_sizes_are_possible(endpoint: Endpoint, around: Surroundings) -> Iterator[Problem]:
    sizes = dict.fromkeys((size_at(endpoint, variant), variant.size) for variant in variants(endpoint))
    for at, size in sizes:
        if size.max == 0:
            message = "an endpoint without instances answers nobody"
            yield Problem("NCDK-SIZE-004", (*at, "max"), message, "1 or more")
        elif size.min == 0:
            yield from _empty(endpoint, (*at, "min"))
    for index, entry in enumerate(endpoint.schedule):
        if entry.min == 0 and not endpoint.components:
            yield from _empty(endpoint, ("schedule", index, "min"))
    known = around.region is None or regions.endpoints_scale_to_zero(around.region)
    if endpoint.components and endpoint.size.min == 0 and not known:
        yield Problem(
            "NCDK-SIZE-005",
            ("size", "min"),
            f"SageMaker has been seen to refuse endpoints of no instances in {around.region}",
            fix="try it there by hand first, or set min to 1",
        )


def endpoint_scaling_works(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    scaling, moved = endpoint.scaling, _moved(endpoint)
    if scaling and scaling.metric not in _METRICS[endpoint.mode]:
        yield Problem(
            "NCDK-SCALE-001",
            ("scaling", "metric"),
            f"mode {endpoint.mode} has no such metric",
            ", ".join(_METRICS[endpoint.mode]),
        )
    if scaling and all(size.min == size.max for size in (*moved.values(), *endpoint.schedule)):
        yield Problem("NCDK-SCALE-003", ("scaling",), "there is nothing to scale: min and max are equal")
    still = {} if scaling or endpoint.schedule else moved
    if endpoint.shadow and endpoint.shadow.size:  # what it gets copies of is scaled; it is for trying
        still = {**still, ("shadow", "size"): endpoint.shadow.size}
    for at, size in still.items():
        if size.max > size.min:
            stays = f"stays at {max(size.min, 1)}" + ("" if size.min else " once a request has woken it")
            yield Problem(
                "NCDK-SCALE-005",
                (*at, "max"),
                f"nothing scales this, so it {stays}",
                fix="make max and min equal" if at[0] == "shadow" else "add scaling, or make max and min equal",
            )


def schedules_move_instances(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.schedule and endpoint.components:
        yield Problem(
            "NCDK-SCHEDULE-006",
            ("schedule",),
            "instances follow the copies of components here, and a schedule moves instances",
            fix="remove schedule: with scaling, copies follow the requests",
            given=f"{len(endpoint.schedule)} entries",
        )


def _moved(endpoint: Endpoint) -> dict[Pointer, Range]:
    """The limits that scaling moves in: of copies where there are components, else of variants."""
    if endpoint.components:
        return {("components", index, "copies"): each.copies for index, each in enumerate(endpoint.components)}
    return {size_at(endpoint, variant): variant.size for variant in variants(endpoint) if not variant.shadow}


def _empty(endpoint: Endpoint, at: Pointer) -> Iterator[Problem]:
    may_be = endpoint.mode == "async" or (
        endpoint.components and all(component.copies.min == 0 for component in endpoint.components)
    )
    if not may_be:
        yield Problem(
            "NCDK-SIZE-003",
            at,
            "a real-time endpoint keeps at least one instance",
            "1 or more; 0 with mode async, or with components whose copies.min is 0",
        )
