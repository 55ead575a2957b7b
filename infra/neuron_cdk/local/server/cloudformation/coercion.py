"""Template values as the API takes them: "4" and "true" become 4 and true where the service wants those."""

from __future__ import annotations

from typing import Any

from botocore.model import Shape

from .. import api


def coerce(service: str, operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    """``properties`` with every scalar in the type that the operation's input model has.

    What cannot be converted stays as it is, for the validation that follows.
    """
    shape = api.model(service).operation_model(operation).input_shape
    changed: dict[str, Any] = _coerce(properties, shape)
    return changed


def _coerce(value: Any, shape: Shape | None) -> Any:
    if shape is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        return {key: _coerce(item, shape.members.get(key)) for key, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_coerce(item, shape.member) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _coerce(item, shape.value) for key, item in value.items()}
    try:
        if shape.type_name in ("integer", "long") and isinstance(value, str):
            return int(value)
        if shape.type_name in ("float", "double") and isinstance(value, str):
            return float(value)
    except ValueError:
        return value
    if shape.type_name == "boolean" and isinstance(value, str):
        return {"true": True, "false": False}.get(value, value)
    if shape.type_name == "string" and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
