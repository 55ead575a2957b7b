"""AWS::ResourceGroups::Group: how capacity reservations are put together for an Auto Scaling group or a template."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import resource_groups

from .. import api, patching
from ..api import ServiceError
from .coercion import coerce
from .types import Created, NotStabilizedError, Properties, Resource, ResourceType

_SERVICE = "resource-groups"
_OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "CreateGroup": patching.original(resource_groups, "_create_group"),
    "UpdateGroup": patching.original(resource_groups, "_update_group"),
    "UpdateGroupQuery": patching.original(resource_groups, "_update_group_query"),
    "PutGroupConfiguration": patching.original(resource_groups, "_put_group_configuration"),
    "GroupResources": patching.original(resource_groups, "_group_resources"),
    "UngroupResources": patching.original(resource_groups, "_ungroup_resources"),
    "DeleteGroup": patching.original(resource_groups, "_delete_group"),
}
_tags = patching.original(resource_groups, "_group_tags")


def _create(resource: Resource) -> Created:
    properties = resource.properties
    declared = {
        key: properties[key]
        for key in ("Name", "Description", "ResourceQuery", "Configuration")
        if properties.get(key) is not None
    }
    _call("CreateGroup", declared | {"Tags": _tag_map(properties)})
    try:
        _members("GroupResources", properties["Name"], properties.get("Resources", []))
    except NotStabilizedError:
        # CloudFormation removes what it could not bring up; ministack has no record of it yet.
        _call("DeleteGroup", {"Group": properties["Name"]})
        raise
    return _created(properties["Name"])


def _update(resource: Resource) -> Created:
    """Everything but the name changes in place."""
    name, now, before = resource.physical_id, resource.properties, resource.previous
    _call("UpdateGroup", {"Group": name, "Description": now.get("Description", "")})
    if now.get("ResourceQuery") != before.get("ResourceQuery"):
        _call("UpdateGroupQuery", {"Group": name, "ResourceQuery": now.get("ResourceQuery")})
    if now.get("Configuration") != before.get("Configuration"):
        _call("PutGroupConfiguration", {"Group": name, "Configuration": now.get("Configuration", [])})
    wanted, had = now.get("Resources", []), before.get("Resources", [])
    _members("UngroupResources", name, [arn for arn in had if arn not in wanted])
    _members("GroupResources", name, [arn for arn in wanted if arn not in had])
    _tags[name] = _tag_map(now)
    return _created(name)


def _delete(resource: Resource) -> None:
    try:
        _call("DeleteGroup", {"Group": resource.physical_id})
    except NotStabilizedError as error:
        if "not found" not in str(error):
            raise


def _members(operation: str, name: str, arns: list[str]) -> None:
    if arns:
        _call(operation, {"Group": name, "ResourceArns": arns})


def _call(operation: str, request: dict[str, Any]) -> None:
    """Check the request as the service does, then run it."""
    request = coerce(_SERVICE, operation, request)
    try:
        api.check(api.model(_SERVICE).operation_model(operation), request)
        status, _, body = _OPERATIONS[operation](request)
    except ServiceError as error:
        raise NotStabilizedError(error.message) from error
    except ValueError as error:  # what ministack says of an ARN that is none
        raise NotStabilizedError(str(error)) from error
    if status >= 400:
        raise NotStabilizedError(json.loads(body)["Message"])


def _tag_map(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags") or []}


def _created(name: str) -> Created:
    return name, {"Arn": resource_groups._arn(name)}


TYPES: dict[str, ResourceType] = {
    "AWS::ResourceGroups::Group": ResourceType(
        create=_create, delete=_delete, update=_update, replaced_by=("Name",), tagged=True
    ),
}
