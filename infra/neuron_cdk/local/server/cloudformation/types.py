"""What a CloudFormation resource type is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
"""The physical id, which Ref gives, and the attributes, which Fn::GetAtt gives."""


class NotStabilized(Exception):
    """Why a resource could not be brought to the state asked for, as the stack event words it."""


def _refuse(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
    raise NotStabilized(f"{physical_id} cannot be updated in place by the embedded AWS")


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How one type is created, updated in place and deleted.

    ``replaced_by`` are the properties that make a new resource when they change ("Update requires: Replacement" in the template
    reference); ministack then creates under a new name, and deletes the old one in its clean-up phase.
    """

    create: Callable[[str, Properties, str], Created]
    """(logical id, properties, stack name)"""
    delete: Callable[[str, Properties], None]
    """(physical id, properties); deleting what is gone already is not an error."""
    replaced_by: tuple[str, ...]
    update: Callable[[str, Properties, Properties, str], Created] = _refuse
    """(physical id, old properties, new properties, stack name)"""
    tagged: bool = False
    slow: bool = False
    """Waits for something, so it runs in a thread of its own."""
