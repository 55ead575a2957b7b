"""Application Auto Scaling types."""

from __future__ import annotations

from typing import Any

from .. import application_autoscaling
from ..api import ServiceError
from .coercion import coerce
from .types import Created, Properties, ResourceType

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _call(operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    request = coerce(
        "application-autoscaling", operation, {key: value for key, value in properties.items() if key != "Tags"}
    )
    return application_autoscaling.call(operation, request)


def _register(properties: Properties) -> Created:
    arn = _call(
        "RegisterScalableTarget", {key: value for key, value in properties.items() if key != "ScheduledActions"}
    )
    identifier = "|".join(properties[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    return identifier, {"Id": identifier, "ScalableTargetARN": arn["ScalableTargetARN"]}


def _deregister(physical_id: str, properties: Properties) -> None:
    resource, dimension, namespace = physical_id.split("|")
    _gone_already_is_fine(
        "DeregisterScalableTarget",
        {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace},
    )


def _put(properties: Properties) -> Created:
    arn = _call("PutScalingPolicy", _with_target(properties))["PolicyARN"]
    return arn, {"Arn": arn}


def _remove(physical_id: str, properties: Properties) -> None:
    whole = _with_target(properties)
    _gone_already_is_fine("DeleteScalingPolicy", {key: whole[key] for key in (*_IDENTITY, "PolicyName")})


def _with_target(properties: Properties) -> Properties:
    """A policy names its target by ``ScalingTargetId``, the target's Ref, or by the three properties themselves."""
    if "ScalingTargetId" not in properties:
        return properties
    resource, dimension, namespace = properties["ScalingTargetId"].split("|")
    rest = {key: value for key, value in properties.items() if key != "ScalingTargetId"}
    return rest | {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}


def _gone_already_is_fine(operation: str, request: dict[str, Any]) -> None:
    try:
        _call(operation, request)
    except ServiceError as error:
        if error.code != "ObjectNotFoundException":
            raise


TYPES = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ResourceType(
        create=lambda logical_id, properties, stack: _register(properties),
        delete=_deregister,
        update=lambda physical_id, old, new, stack: _register(new),
        replaced_by=_IDENTITY,
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ResourceType(
        create=lambda logical_id, properties, stack: _put(properties),
        delete=_remove,
        update=lambda physical_id, old, new, stack: _put(new),
        replaced_by=(*_IDENTITY, "ScalingTargetId", "PolicyName"),
    ),
}
