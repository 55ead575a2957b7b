"""What an endpoint is to be: the ``Declaration`` that the construct writes, read into types. Pure.

JSON: ``variants`` (``name``, ``shadow``, ``pools``: an ``instance_type`` each and the ``model``, ``artifact`` and
``image`` it serves, null where components serve), ``components``, ``scaling.targets``, ``smoke_tests`` and ``async``.
The units are in the names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


class DeclarationError(Exception):
    """The declaration cannot be read."""


@dataclass(frozen=True, slots=True)
class Pool:
    """``model`` is SageMaker's name for it, ``artifact`` the key of what was compiled."""

    instance_type: str
    model: str | None
    artifact: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    shadow: bool
    pools: tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    variant: str
    model: str
    artifact: str
    image: str


@dataclass(frozen=True, slots=True)
class Policy:
    """``kind`` is ``target`` or ``step``; ``settings`` the rest, as the declaration has it."""

    kind: str
    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Schedule:
    name: str
    cron: str
    min: int
    max: int


@dataclass(frozen=True, slots=True)
class Target:
    """What scales: the instances of a variant, or the copies of a component."""

    resource: Literal["variant", "component"]
    name: str
    min: int
    max: int
    policies: tuple[Policy, ...]
    schedules: tuple[Schedule, ...]


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """``variant`` and ``component`` are None where the endpoint has one way in. ``mode``: ``realtime`` or ``async``."""

    variant: str | None
    component: str | None
    mode: str
    request: Any
    max_latency_ms: int | None

    @property
    def asked(self) -> str:
        """What is asked, for people."""
        return f"component {self.component}" if self.component else f"variant {self.variant or 'Main'}"


@dataclass(frozen=True, slots=True)
class Declaration:
    """``input_prefix``: where requests of asynchronous smoke tests go (``s3://…/``), None for a realtime endpoint."""

    variants: tuple[Variant, ...]
    components: tuple[Component, ...]
    targets: tuple[Target, ...]
    smoke_tests: tuple[SmokeTest, ...]
    input_prefix: str | None


def parse(text: str) -> Declaration:
    """Read a declaration.

    :raises DeclarationError: when it cannot be read.
    """
    try:
        return _declaration(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise DeclarationError(f"the property Declaration cannot be read ({type(error).__name__}: {error})") from error


def _declaration(document: Mapping[str, Any]) -> Declaration:
    return Declaration(
        variants=tuple(
            Variant(one["name"], one["shadow"], tuple(Pool(**pool) for pool in one["pools"]))
            for one in document["variants"]
        ),
        components=tuple(Component(**one) for one in document["components"]),
        targets=tuple(_target(one) for one in document["scaling"]["targets"]),
        smoke_tests=tuple(SmokeTest(**one) for one in document["smoke_tests"]),
        input_prefix=document["async"]["input_prefix"] if document["async"] else None,
    )


def _target(one: Mapping[str, Any]) -> Target:
    return Target(
        resource=one["resource"],
        name=one["name"],
        min=one["min"],
        max=one["max"],
        policies=tuple(Policy(policy["kind"], policy["name"], policy) for policy in one["policies"]),
        schedules=tuple(Schedule(**schedule) for schedule in one["schedules"]),
    )
