"""AWS::DynamoDB::GlobalTable, mended: at an update ministack makes a name from the old name, and loses the items."""

from __future__ import annotations

from typing import Any

from .types import Created, Properties

GLOBAL_TABLE = "AWS::DynamoDB::GlobalTable"


def keep_its_name(handler: dict[str, Any]) -> dict[str, Any]:
    """The type's handler, updating the table it has whatever the template calls it."""
    update = handler["update"]

    def in_place(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        named = {"TableName": physical_id}
        updated: Created = update(physical_id, {**old, **named}, {**new, **named}, stack)
        return updated

    return {**handler, "update": in_place}
