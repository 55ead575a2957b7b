"""What pydantic says about a file, said again with our codes, the nearest names and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from .base import Part
from .findings import Problem
from .source import Pointer, Source

_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a mapping of fields",
    "dict_type": "a mapping of names",
    "tuple_type": "a list",
}
_FIXES = {"string_type": "put it in quotes", "bool_type": "write true or false, without quotes"}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}
_LENGTHS = {
    "too_short": ("there are too few entries", "at least", "min_length"),
    "too_long": ("there are too many entries", "at most", "max_length"),
    "string_too_short": ("this is too short", "at least", "min_length"),
    "string_too_long": ("this is too long", "at most", "max_length"),
}


def problems(
    errors: Iterable[ErrorDetails], values: dict[str, Any], classes: Mapping[int, type[Part]], source: Source
) -> Iterator[Problem]:
    """One problem for each error.

    :param values: what was validated; walking it turns pydantic's locations into pointers.
    :param classes: by the ``id`` of a mapping in ``values``, the class that judged it.
    """
    for error in errors:
        location, kind, context = error["loc"], error["type"], error.get("ctx", {})
        pointer = _pointer(location, values)
        if kind.startswith("NCDK-"):
            at_name = location[-1] == "[key]"
            given = pointer[-1] if at_name else None
            yield Problem(
                kind, pointer, error["msg"], context.get("allowed", ""), context.get("fix", ""), given, at_name
            )
        elif kind == "extra_forbidden":
            owner = classes[id(_at(values, pointer[:-1]))]
            yield _unknown_field(pointer, list(owner.model_fields))
        elif kind == "missing":
            yield _missing(_pointer(location[:-1], values), str(location[-1]))
        elif kind == "union_tag_not_found":
            yield _missing(pointer, context["discriminator"].strip("'"))
        elif kind == "union_tag_invalid":
            field = context["discriminator"].strip("'")
            yield _choice((*pointer, field), context["tag"], context["expected_tags"])
        elif kind == "literal_error":
            yield _choice(pointer, source.written(pointer), context["expected"])
        elif kind in _TYPES:
            fix = _FIXES.get(kind, "") if source.is_scalar(pointer) else ""
            yield Problem("NCDK-FIELD-003", pointer, "this is of the wrong type", _TYPES[kind], fix)
        elif kind in _BOUNDS:
            words, bound = _BOUNDS[kind]
            yield Problem("NCDK-FIELD-005", pointer, "this number is out of range", f"{words} {context[bound]:,}")
        elif kind in _LENGTHS:
            what, words, bound = _LENGTHS[kind]
            if kind == "too_short" and _at(values, pointer):
                continue  # pydantic does not count the entries it refused
            yield Problem("NCDK-FIELD-006", pointer, what, f"{words} {context[bound]:,}")
        else:
            yield Problem("NCDK-FIELD-007", pointer, error["msg"][:1].lower() + error["msg"][1:])


def _unknown_field(pointer: Pointer, fields: list[str]) -> Problem:
    name = str(pointer[-1])
    close = get_close_matches(name[:64], fields, n=1)
    return Problem(
        "NCDK-FIELD-001",
        pointer,
        "there is no such field here" + (f"; did you mean {close[0]}?" if close else ""),
        allowed=", ".join(fields),
        fix=f"rename it to {close[0]}" if close else "remove it",
        given=name,
        at_name=True,
    )


def _missing(pointer: Pointer, field: str) -> Problem:
    return Problem("NCDK-FIELD-002", (*pointer, field), f"{field} is required", fix=f"add {field}: …")


def _choice(pointer: Pointer, given: str, expected: str) -> Problem:
    """``expected`` as pydantic words it: ``'a', 'b' or 'c'``."""
    choices = re.findall(r"'([^']*)'", expected)
    close = get_close_matches(given[:64], choices, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Problem("NCDK-FIELD-004", pointer, f"there is no such choice{hint}", allowed=", ".join(choices))


def _pointer(location: tuple[int | str, ...], values: Any) -> Pointer:
    """Pydantic's location without what is not in the file: tags of unions, and its ``[key]``."""
    pointer: Pointer = ()
    for part in location:
        there = part in values if isinstance(values, dict) else isinstance(values, list) and isinstance(part, int)
        if there:
            values = values[part]
            pointer += (part,)
    return pointer


def _at(values: Any, pointer: Pointer) -> object:
    for part in pointer:
        values = values[part]
    return values
