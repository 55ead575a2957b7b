"""Where the figures come from, and what was decided where sources disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from neuron_cdk.catalog._data import read


@dataclass(frozen=True, slots=True)
class Source:
    """One place that figures were read from. ``as_of`` is a date, or "undated" where the source states none."""

    id: str
    title: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A figure on which sources disagree: what each says, what was taken, and why."""

    subject: str
    claims: Mapping[str, str]  # source id -> what it says
    taken: str
    why: str


@cache
def sources() -> Mapping[str, Source]:
    """Every source by the id that the data files use."""
    return MappingProxyType({record["id"]: Source(**record) for record in read("provenance")["sources"]})


@cache
def decisions() -> tuple[Decision, ...]:
    """Every recorded disagreement, in the order of the data file."""
    return tuple(
        Decision(record["subject"], MappingProxyType(record["claims"]), record["taken"], record["why"])
        for record in read("provenance")["decisions"]
    )
