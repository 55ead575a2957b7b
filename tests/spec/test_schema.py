"""The JSON Schema that editors get."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from neuron_cdk.spec import json_schema
from neuron_cdk.spec.deployment import DType, Engine, Target


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in the schema."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from parts(child)


def test_it_names_its_dialect(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_survives_json(schema: dict[str, Any]) -> None:
    assert json.loads(json.dumps(schema)) == schema


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    references = {part["$ref"] for part in parts(schema) if "$ref" in part}

    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}


def test_no_object_takes_unknown_fields(schema: dict[str, Any]) -> None:
    objects = [part for part in parts(schema) if part.get("type") == "object"]

    assert len(objects) > 25
    assert all(part["additionalProperties"] is False for part in objects)


def test_every_field_is_described(schema: dict[str, Any]) -> None:
    fields = [
        (name, field)
        for part in (schema, *schema["$defs"].values())
        for name, field in part.get("properties", {}).items()
        if "const" not in field
    ]

    assert [name for name, field in fields if not field.get("description")] == []


def test_choices_are_enumerated(schema: dict[str, Any]) -> None:
    compiling = schema["$defs"]["Compile"]["properties"]

    assert compiling["engine"]["enum"] == list(get_args(Engine))
    assert compiling["target"]["enum"] == list(get_args(Target))
    assert compiling["dtype"]["enum"] == list(get_args(DType))


def test_what_the_catalogue_knows_is_offered_as_examples(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]

    assert "eu-west-1" in definitions["Environment"]["properties"]["region"]["examples"]
    assert "trn1.32xlarge" in definitions["Fleet"]["properties"]["instance_types"]["items"]["examples"]
    assert "ml.inf2.xlarge" in definitions["Endpoint"]["properties"]["instance_types"]["items"]["examples"]


def test_examples_match_their_patterns(schema: dict[str, Any]) -> None:
    with_both = [part for part in parts(schema) if "pattern" in part and "examples" in part]

    assert with_both
    assert [part for part in with_both for text in part["examples"] if not re.search(part["pattern"], text)] == []
