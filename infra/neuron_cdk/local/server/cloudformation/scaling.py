"""Application Auto Scaling types."""

from __future__ import annotations

from .. import application_autoscaling
from ..api import ServiceError
from .coercion import coerce
from .types import Created, Properties, Resource, ResourceType

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_SERVICE = "application-autoscaling"


def _register(resource: Resource) -> Created:
    properties = resource.properties
    declared = {key: value for key, value in properties.items() if key not in ("Tags", "ScheduledActions")}
    answer = application_autoscaling.call(
        "RegisterScalableTarget", coerce(_SERVICE, "RegisterScalableTarget", declared)
    )
    _schedule(properties, resource.previous)
    identifier = "|".join(properties[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    return identifier, {"Id": identifier, "ScalableTargetARN": answer["ScalableTargetARN"]}


def _schedule(properties: Properties, previous: Properties) -> None:
    """Put the target's scheduled actions, and remove those it had and has no more."""
    identity = {key: properties[key] for key in _IDENTITY}
    actions = properties.get("ScheduledActions", [])
    for action in actions:
        application_autoscaling.call("PutScheduledAction", coerce(_SERVICE, "PutScheduledAction", identity | action))
    names = {action["ScheduledActionName"] for action in actions}
    for action in previous.get("ScheduledActions", []):
        if action["ScheduledActionName"] not in names:
            _unless_gone("DeleteScheduledAction", identity | {"ScheduledActionName": action["ScheduledActionName"]})


def _deregister(resource: Resource) -> None:
    _unless_gone("DeregisterScalableTarget", {key: resource.properties[key] for key in _IDENTITY})


def _put(resource: Resource) -> Created:
    request = coerce(_SERVICE, "PutScalingPolicy", _with_target(resource.properties))
    arn = application_autoscaling.call("PutScalingPolicy", request)["PolicyARN"]
    return arn, {"Arn": arn}


def _remove(resource: Resource) -> None:
    whole = _with_target(resource.properties)
    _unless_gone("DeleteScalingPolicy", {key: whole[key] for key in (*_IDENTITY, "PolicyName")})


def _with_target(properties: Properties) -> Properties:
    """A policy names its target by ``ScalingTargetId``, the target's Ref, or by the three properties themselves."""
    if "ScalingTargetId" not in properties:
        return properties
    resource, dimension, namespace = properties["ScalingTargetId"].split("|")
    rest = {key: value for key, value in properties.items() if key != "ScalingTargetId"}
    return rest | {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}


def _unless_gone(operation: str, request: Properties) -> None:
    try:
        application_autoscaling.call(operation, request)
    except ServiceError as error:
        if error.code != "ObjectNotFoundException":
            raise


TYPES: dict[str, ResourceType] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ResourceType(
        create=_register, delete=_deregister, update=_register, replaced_by=_IDENTITY
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ResourceType(
        create=_put, delete=_remove, update=_put, replaced_by=(*_IDENTITY, "ScalingTargetId", "PolicyName")
    ),
}
