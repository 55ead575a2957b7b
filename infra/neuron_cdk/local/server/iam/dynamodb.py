"""DynamoDB: the table, the values of its partition key that are asked for, and its encryption key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import keys, resources
from .calls import Call, Needs
from .policies import Check


def items(member: str) -> Needs:
    """The one item whose key is in a member of the request."""

    def needs(call: Call) -> list[Check]:
        return _table(call, call.operation, [call.request.get(member) or {}])

    return needs


def _table(call: Call, operation: str, found: list[Mapping[str, Any]], table: str | None = None) -> list[Check]:
    name = table or call.request["TableName"]
    key = resources.partition_key(name)
    leading = [str(next(iter(item[key].values()))) for item in found if key in item] if key else []
    context: dict[str, str | list[str]] = {"dynamodb:leadingkeys": leading} if leading else {}
    arn = call.arn(name if name.startswith("arn:") else f"table/{name}")
    return [Check(f"dynamodb:{operation}", arn, context), *keys.of_table(name, call.region, call.account)]


_TRANSACTION = {"Put": ("PutItem", "Item"), "Update": ("UpdateItem", "Key"), "Delete": ("DeleteItem", "Key")}


def transaction(call: Call) -> list[Check]:
    """Each item as the operation it does, with no action for the transaction itself."""
    found = []
    for item in call.request["TransactItems"]:
        for kind, what in item.items():
            operation, member = _TRANSACTION.get(kind) or ("ConditionCheckItem" if kind != "Get" else "GetItem", "Key")
            found += _table(call, operation, [what[member]], what["TableName"])
    return found


def batch(call: Call) -> list[Check]:
    found = []
    for table, asked in call.request["RequestItems"].items():
        if call.operation == "BatchGetItem":
            items = asked["Keys"]
        else:
            items = [
                (one.get("PutRequest") or one["DeleteRequest"]).get("Item") or one["DeleteRequest"]["Key"]
                for one in asked
            ]
        found += _table(call, call.operation, items, table)
    return found
