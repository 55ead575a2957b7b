"""What a CloudFormation resource type is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
"""The physical id, which Ref gives, and the attributes, which Fn::GetAtt gives."""


class NotStabilizedError(Exception):
    """Why a resource could not be brought to the state asked for, as the stack event words it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a stack, in one operation on it."""

    properties: Properties
    """As the template has them now; those it was created with in a delete."""
    stack: str = ""
    logical_id: str = ""
    physical_id: str = ""
    """Empty until it is created."""
    previous: Properties = field(default_factory=dict)
    """In an update, the properties before."""


def _refuse(resource: Resource) -> Created:
    raise NotStabilizedError(f"{resource.physical_id} cannot be updated in place by the embedded AWS")


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How one type is created, updated in place and deleted (deleting what is gone already is not an error).

    ``replaced_by`` are the properties that make a new resource when they change ("Update requires: Replacement" in the
    template reference); ministack then creates under a new name, and deletes the old one in its clean-up phase.
    """

    create: Callable[[Resource], Created]
    delete: Callable[[Resource], None]
    replaced_by: tuple[str, ...]
    update: Callable[[Resource], Created] = _refuse
    tagged: bool = False
    slow: bool = False
    """Waits for something, so it runs in a thread of its own."""
