"""Whether what hooks tell is what the documented schema says."""

from __future__ import annotations

from types import ModuleType
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "number": (int, float)}


def problems(schema: dict[str, Any], detail: dict[str, Any]) -> list[str]:
    """Where a detail is not as its schema: the part of JSON Schema that ours use."""
    missing = [f"{name} is missing" for name in schema["required"] if name not in detail]
    unknown = [f"{name} is not in the schema" for name in detail if name not in schema["properties"]]
    wrong = [
        f"{name} is {value!r}, no {schema['properties'][name]['type']}"
        for name, value in detail.items()
        if name in schema["properties"] and not isinstance(value, _TYPES[schema["properties"][name]["type"]])
    ]
    return [f"{schema['title']}: {problem}" for problem in (*missing, *unknown, *wrong)]


def watch(module: ModuleType, found: list[str]) -> None:
    """Look at every event that ``model_events`` makes from now on, and note what is not as its schema says."""
    if getattr(module.event, "watched", False):
        return
    make = module.event

    def event(name: str, **facts: Any) -> tuple[str, dict[str, Any]]:
        detail_type, detail = make(name, **facts)
        found.extend(problems(module.schema(name), detail))
        return detail_type, detail

    event.watched = True  # type: ignore[attr-defined]
    module.event = event  # type: ignore[attr-defined]
