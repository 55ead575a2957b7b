"""Several variants of one endpoint, and the shadow of one.

Sources: CreateEndpointConfig, which takes one production variant beside a shadow; the SageMaker guide's "Shadow tests,
Exclusions".
"""

from __future__ import annotations

from collections.abc import Iterator

from ..endpoint import Endpoint
from ..endpoints import MAIN, variants
from ..findings import Problem
from ..hosts import instance
from .common import Surroundings, type_at


def traffic_has_weights(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    for name in endpoint.variants:
        if name.lower() == MAIN.lower():
            yield Problem(
                "NCDK-ENDPOINT-019",
                ("variants", name),
                f"the endpoint's own model is variant {MAIN}",
                fix="give this one another name",
                given=name,
                at_name=True,
            )
    if not endpoint.variants:
        if endpoint.weight != 1:
            yield Problem(
                "NCDK-ENDPOINT-018",
                ("weight",),
                "without variants all requests go to the endpoint's own model",
                fix="remove weight, or add variants",
            )
    elif not any(variant.weight for variant in variants(endpoint) if not variant.shadow):
        yield Problem(
            "NCDK-ENDPOINT-017",
            ("variants",),
            "all weights are 0, so no variant answers",
            fix="give one of them a weight above 0",
            given=", ".join(endpoint.variants),
        )


def shadows_are_possible(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    if endpoint.shadow is None:
        return
    if endpoint.variants:
        yield Problem(
            "NCDK-ENDPOINT-012",
            ("shadow",),
            "SageMaker copies the requests of one production variant, and the endpoint has several",
            fix="remove variants, or make the shadow a variant",
        )
    inf1 = next(
        (
            type_at(endpoint, variant, index)
            for variant in variants(endpoint)
            for index, name in enumerate(variant.types)
            if (host := instance(name)) and host.target == "inf1"
        ),
        None,
    )
    if inf1:
        yield Problem(
            "NCDK-ENDPOINT-013",
            inf1,
            "SageMaker has no shadow tests on Inf1",
            fix="remove shadow, or take another type",
        )
