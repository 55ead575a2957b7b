"""AWS::IAM::InstanceProfile, mended: Ref gives its name, where ministack gives its ARN."""

from __future__ import annotations

from typing import Any

from ministack.services import iam

from .. import patching
from .types import Created, Properties

INSTANCE_PROFILE = "AWS::IAM::InstanceProfile"

_profiles = patching.original(iam, "_instance_profiles")


def called_by_its_name(handler: dict[str, Any]) -> dict[str, Any]:
    """The type's handler with the name as physical id."""
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        arn, attributes = create(logical_id, properties, stack)
        return _name(arn), attributes

    def updated(name: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        arn, attributes = update(_arn(name), old, new, stack, logical_id)
        # An earlier version's stacks have the ARN, and keep it: another physical id would mean another profile.
        return (name if arn == _arn(name) else _name(arn)), attributes

    def deleted(name: str, properties: Properties) -> None:
        delete(_arn(name), properties)

    return {**handler, "create": created, "update": updated, "delete": deleted}


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _arn(name: str) -> str:
    return str(_profiles[name]["Arn"]) if name in _profiles else name
