"""Every figure names a source that exists, and disagreements are on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.catalog import instances, provenance

DATA = Path(instances.__file__).parent / "data"
FILES = sorted(path.name for path in DATA.glob("*.json"))
NAMES = {"name", "family", "type", "sdk", "region", "as_of", "id", "vendor"}  # what a record is about, not a figure


def unsourced(value: Any, inherited: dict[str, str], path: str = "") -> Iterator[str]:
    """Paths of the figures below ``value`` for which neither the record, nor its list, nor the file has a source."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unsourced(item, inherited, f"{path}[{index}]")
    elif isinstance(value, dict) and "source" in value:
        if value["source"] not in provenance.sources():
            yield f"{path}.source"
    elif isinstance(value, dict):
        own = {**inherited, **value.get("sources", {})}
        for key, item in value.items():
            below = f"{path}.{key}"
            if key == "sources" or key in NAMES:
                continue
            if key in own:
                if own[key] not in provenance.sources():
                    yield below
            elif isinstance(item, (list, dict)):
                yield from unsourced(item, own, below)
            else:
                yield below


@pytest.mark.parametrize("name", [name for name in FILES if name != "provenance.json"])
def test_every_figure_has_a_source(name: str) -> None:
    # covered_regions, partitions and limited_repositories say what the sources beside them cover
    inherited = {"covered_regions": "price-list", "partitions": "partitions"}
    assert list(unsourced(json.loads((DATA / name).read_text()), inherited)) == []


def test_a_figure_without_source_is_found() -> None:
    record = {"sources": {"vcpu": "ec2-types"}, "types": [{"name": "x", "vcpu": 1, "memory_gib": 2}]}
    assert list(unsourced(record, {})) == [".types[0].memory_gib"]


def test_every_source_is_used() -> None:
    text = "".join((DATA / name).read_text() for name in FILES if name != "provenance.json")
    claimed = {source for decision in provenance.decisions() for source in decision.claims}
    unused = [source for source in provenance.sources() if f'"{source}"' not in text and source not in claimed]
    assert unused == []


def test_every_source_has_a_date_or_says_that_it_has_none() -> None:
    dates = [source.as_of for source in provenance.sources().values()]
    assert all(date == "undated" or date.startswith("20") for date in dates)


def test_every_decision_weighs_known_sources() -> None:
    claimed = {source for decision in provenance.decisions() for source in decision.claims}
    assert claimed <= set(provenance.sources())


@pytest.mark.parametrize("subject", ["Trainium2: accelerator memory", "trn1.2xlarge: network", "inf1.24xlarge: EFA"])
def test_a_known_disagreement_is_decided_with_a_reason(subject: str) -> None:
    (decision,) = [decision for decision in provenance.decisions() if decision.subject == subject]
    assert len(decision.claims) == 2
    assert decision.taken
    assert decision.why
