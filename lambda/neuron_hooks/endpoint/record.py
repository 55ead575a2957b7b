"""What the registry holds of an endpoint: what was in service when it was last verified. Pure.

The item's key is ``endpoint#<key>``; ``document`` is the record as JSON. Only CloudFormation's requests write it, one
at a time; events read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Leaving:
    """An update that some targets were deregistered for, and that has perhaps not begun.

    :param configuration: what comes.
    :param since: when the endpoint was last modified before it (seconds since the epoch); None until it is settled.
    """

    configuration: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """
    :param declaration: the JSON that was verified.
    :param images: by variant or component, the images that were pulled, by digest.
    """

    endpoint: str
    configuration: str
    declaration: str
    images: Mapping[str, list[str]] = field(default_factory=dict)
    leaving: Leaving | None = None


def _key(key: str) -> dict[str, Any]:
    return {"artifact_key": {"S": f"endpoint#{key}"}}


def get(table: str, key: str) -> dict[str, Any]:
    """A GetItem request; always consistent, since a decision follows."""
    return {"TableName": table, "Key": _key(key), "ConsistentRead": True}


def put(table: str, key: str, record: Record) -> dict[str, Any]:
    """An UpdateItem request that writes a record."""
    return {
        "TableName": table,
        "Key": _key(key),
        "UpdateExpression": "SET #document = :document",
        "ExpressionAttributeNames": {"#document": "document"},
        "ExpressionAttributeValues": {":document": {"S": json.dumps(asdict(record), sort_keys=True)}},
    }


def delete(table: str, key: str) -> dict[str, Any]:
    """A DeleteItem request."""
    return {"TableName": table, "Key": _key(key)}


def read(item: Mapping[str, Any] | None) -> Record | None:
    """The record in an item as GetItem gives it, None when there is none."""
    if not item:
        return None
    document = json.loads(item["document"]["S"])
    leaving = document.pop("leaving")
    return Record(**document, leaving=Leaving(**leaving) if leaving else None)
