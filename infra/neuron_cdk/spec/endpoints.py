"""What an endpoint's entry comes to: its variants, how it is rolled out, and how many instances that takes.

Pure, and for rules, constructs and the doctor alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil

from .base import Range
from .endpoint import Endpoint, Rollout, RolloutKind
from .hosts import instance

MAIN = "Main"
"""Name of the variant that serves the endpoint's own model, or its components."""
SHADOW = "Shadow"
MINUTE = 60

_PERCENT: Mapping[RolloutKind, int] = {"canary": 10, "linear": 25, "rolling": 50}
_WATCHED_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant: a model on instances of its own. ``model`` is None where components are served.

    ``types`` are SageMaker's names, in order of priority; more than one are instance pools. ``pool_models`` has the
    model of those pools that serve another one. ``weight`` of a shadow is the percentage of requests it gets copies of.
    """

    name: str
    model: str | None
    types: tuple[str, ...]
    size: Range
    weight: float = 1
    pool_models: Mapping[str, str] = field(default_factory=dict)
    shadow: bool = False

    def model_of(self, instance_type: str) -> str | None:
        """What the pool of a type serves."""
        return self.pool_models.get(instance_type, self.model)


@dataclass(frozen=True, slots=True)
class Shift:
    """How traffic moves to a new version: a ``DeploymentConfig`` in numbers.

    ``percent`` is the first share, each share, or a batch; None for all-at-once. ``wait_s`` is between shifts (after
    each batch of a rolling one), ``termination_wait_s`` after the last, where the old fleet is still whole: 0 for
    rolling. ``max_s`` is MaximumExecutionTimeoutInSeconds, None for SageMaker's own.
    """

    kind: RolloutKind
    percent: int | None
    wait_s: int
    termination_wait_s: int
    max_s: int | None


def variants(endpoint: Endpoint) -> tuple[Variant, ...]:
    """Every variant of an endpoint: its own, the further ones in the order of the file, the shadow at the end."""
    return tuple(_variants(endpoint))


def rollout_kind(endpoint: Endpoint) -> RolloutKind:
    """The file's, or rolling from two instances on where SageMaker rolls such an endpoint, or else all at once.

    Components know no other than rolling.
    """
    if endpoint.rollout.kind:
        return endpoint.rollout.kind
    if endpoint.components:
        return "rolling"
    return "rolling" if endpoint.size.min >= 2 and may_roll(endpoint) else "all-at-once"


def may_roll(endpoint: Endpoint) -> bool:
    """Whether SageMaker updates such an endpoint in batches: one variant, no shadow, no Inf1."""
    return not (endpoint.variants or endpoint.shadow or on_inf1(endpoint))


def on_inf1(endpoint: Endpoint) -> bool:
    """Whether any instance is an Inf1: those take no deployment configuration and no InferenceAmiVersion."""
    hosts = (instance(name) for variant in variants(endpoint) for name in variant.types)
    return any(host is not None and host.target == "inf1" for host in hosts)


def watched(rollout: Rollout) -> bool:
    """Whether any alarm can send a new version back."""
    return bool(rollout.alarms or rollout.max_error_rate is not None or rollout.max_p99_ms is not None)


def shift(endpoint: Endpoint) -> Shift:
    """How traffic moves to a new version of an endpoint."""
    rollout, kind = endpoint.rollout, rollout_kind(endpoint)
    default = _WATCHED_MINUTES if watched(rollout) else 0
    wait = default if rollout.wait_minutes is None else rollout.wait_minutes
    bake = default if rollout.bake_minutes is None else rollout.bake_minutes
    if kind == "rolling":  # its one wait is after every batch, and so after the last
        wait, bake = (wait if rollout.bake_minutes is None else bake), 0
    elif kind == "all-at-once":
        wait = 0
    return Shift(
        kind=kind,
        percent=rollout.percent or _PERCENT.get(kind),
        wait_s=wait * MINUTE,
        termination_wait_s=bake * MINUTE,
        max_s=rollout.max_minutes * MINUTE if rollout.max_minutes else None,
    )


def shifts(endpoint: Endpoint) -> int:
    """How many times traffic moves in one update."""
    how = shift(endpoint)
    if how.percent is None:
        return 1
    return 2 if how.kind == "canary" else ceil(100 / how.percent)


def most_instances(endpoint: Endpoint, variant: Variant) -> int:
    """The most instances of a variant at once: its max, and what an update takes beside them.

    Blue/green starts a second fleet of the size the first has then; a rolling update starts one batch.
    """
    how = shift(endpoint)
    if how.kind == "rolling" and how.percent is not None:
        return variant.size.max + ceil(variant.size.max * how.percent / 100)
    return 2 * variant.size.max


def _variants(endpoint: Endpoint) -> Iterator[Variant]:
    yield Variant(
        MAIN, endpoint.model, endpoint.instance_types, endpoint.size, endpoint.weight, dict(endpoint.pool_models)
    )
    for name, other in endpoint.variants.items():
        types, size = other.instance_types or endpoint.instance_types, other.size or endpoint.size
        yield Variant(name, other.model, types, size, other.weight)
    if shadow := endpoint.shadow:
        types, size = shadow.instance_types or endpoint.instance_types, shadow.size or endpoint.size
        yield Variant(SHADOW, shadow.model, types, size, shadow.percent, shadow=True)
