"""The page about events has every event, every metric, and examples that are as the schema says."""

from __future__ import annotations

import json
import re

import pytest

from tests.hooks.told_events import problems


@pytest.fixture(scope="module")
def text() -> str:
    from docs.events import events

    return "\n\n".join(events())


@pytest.fixture(scope="module")
def telling():
    from neuron_hooks import model_events

    return model_events


def test_every_event_has_an_example_that_is_as_its_schema_says(text, telling):
    examples = dict(re.findall(r"### (Neuron [\w ]+)\n\n```json\n(.+?)\n```", text, re.DOTALL))
    kinds = {kind.detail_type: name for name, kind in telling.KINDS.items() if kind.detail_type}
    assert examples.keys() == kinds.keys()
    for detail_type, example in examples.items():
        assert problems(telling.schema(kinds[detail_type]), json.loads(example)) == []


def test_every_field_and_every_metric_has_a_row(text, telling):
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert {*telling.ALWAYS, *telling.FACTS, *telling.UNITS} <= rows


def test_the_pattern_of_the_page_matches_events_that_are_told(text, telling):
    (pattern,) = re.findall(r"```json\n(\{\s+\"source\".+?)\n```", text, re.DOTALL)
    wanted = json.loads(pattern)
    assert wanted["source"] == [telling.SOURCE]
    assert set(wanted["detail-type"]) <= {kind.detail_type for kind in telling.KINDS.values()}
