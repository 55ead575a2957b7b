"""Auto Scaling types. A group's Ref is its name; its delete empties it first, as on AWS, hooks included."""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners

from .. import patching
from ..api import ServiceError
from ..autoscaling import service
from ..clock import clock
from .coercion import coerce
from .types import Created, NotStabilizedError, Properties, Resource, ResourceType

_physical_name = patching.original(provisioners, "_physical_name")
_NAME_LENGTH = 255
_EMPTYING_SECONDS = 3600.0
_LOOK_SECONDS = 1.0
_LEAST_REAL_SECONDS = 0.05

_RENAMED = {"Cooldown": "DefaultCooldown"}
_APART = ("NotificationConfigurations", "NotificationConfiguration", "MetricsCollection")
_ONLY_AT_CREATE = ("Tags", "LifecycleHookSpecificationList", "TargetGroupARNs", "LoadBalancerNames", "TrafficSources")


def _create_group(resource: Resource) -> Created:
    name = resource.properties.get("AutoScalingGroupName") or _physical_name(
        resource.stack, resource.logical_id, max_len=_NAME_LENGTH
    )
    _call("CreateAutoScalingGroup", _group(resource.properties) | {"AutoScalingGroupName": name})
    try:
        _set_apart(name, resource.properties, {})
    except NotStabilizedError:
        # CloudFormation removes what it could not bring up; ministack has no record of it yet.
        service.call("DeleteAutoScalingGroup", {"AutoScalingGroupName": name, "ForceDelete": True})
        raise
    return _created(name)


def _update_group(resource: Resource) -> Created:
    name = resource.physical_id
    changed = {key: value for key, value in _group(resource.properties).items() if key not in _ONLY_AT_CREATE}
    _call("UpdateAutoScalingGroup", changed | {"AutoScalingGroupName": name})
    tags, before = (properties.get("Tags") or [] for properties in (resource.properties, resource.previous))
    keys = {tag["Key"] for tag in tags}
    gone = [{"Key": tag["Key"]} for tag in before if tag["Key"] not in keys]
    for operation, wanted in (("DeleteTags", gone), ("CreateOrUpdateTags", tags)):
        if wanted:
            whole = [tag | {"ResourceId": name, "ResourceType": "auto-scaling-group"} for tag in wanted]
            _call(operation, {"Tags": whole})
    wanted, had = (properties.get("TargetGroupARNs") or [] for properties in (resource.properties, resource.previous))
    for operation, arns in (
        ("DetachLoadBalancerTargetGroups", [arn for arn in had if arn not in wanted]),
        ("AttachLoadBalancerTargetGroups", [arn for arn in wanted if arn not in had]),
    ):
        if arns:
            _call(operation, {"AutoScalingGroupName": name, "TargetGroupARNs": arns})
    _set_apart(name, resource.properties, resource.previous)
    return _created(name)


def _delete_group(resource: Resource) -> None:
    name = {"AutoScalingGroupName": resource.physical_id}
    try:
        service.call("UpdateAutoScalingGroup", name | {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0})
    except ServiceError as error:
        if "not found" in error.message:
            return
        raise NotStabilizedError(error.message) from error
    until = clock.now() + _EMPTYING_SECONDS
    while True:
        try:
            service.call("DeleteAutoScalingGroup", name)
            return
        except ServiceError as error:
            if "not found" in error.message:
                return
            if error.code != "ResourceInUse" or clock.now() > until:
                raise NotStabilizedError(error.message) from error
        clock.sleep(_LOOK_SECONDS, at_least=_LEAST_REAL_SECONDS)


def _group(properties: Properties) -> dict[str, Any]:
    """The properties as the API names and types them."""
    given = {_RENAMED.get(key, key): value for key, value in properties.items() if key not in _APART}
    subnets = given.get("VPCZoneIdentifier")
    if isinstance(subnets, list):
        given["VPCZoneIdentifier"] = ",".join(subnets)
    return given


def _set_apart(name: str, now: Properties, before: Properties) -> None:
    """Metrics and notifications, which the API has operations of their own for."""
    of = {"AutoScalingGroupName": name}
    if before.get("MetricsCollection"):
        _call("DisableMetricsCollection", of)
    for each in now.get("MetricsCollection") or []:
        _call("EnableMetricsCollection", of | each)
    for each in before.get("NotificationConfigurations") or []:
        _call("DeleteNotificationConfiguration", of | {"TopicARN": each["TopicARN"]})
    for each in now.get("NotificationConfigurations") or []:
        _call("PutNotificationConfiguration", of | each)


def _created(name: str) -> Created:
    (group,) = service.call("DescribeAutoScalingGroups", {"AutoScalingGroupNames": [name]})["AutoScalingGroups"]
    return name, {"AutoScalingGroupARN": group["AutoScalingGroupARN"], "Arn": group["AutoScalingGroupARN"]}


def _put_hook(resource: Resource) -> Created:
    name = (
        resource.physical_id
        or resource.properties.get("LifecycleHookName")
        or _physical_name(resource.stack, resource.logical_id, max_len=_NAME_LENGTH)
    )
    _call("PutLifecycleHook", resource.properties | {"LifecycleHookName": name})
    return name, {"LifecycleHookName": name}


def _delete_hook(resource: Resource) -> None:
    of = resource.properties["AutoScalingGroupName"]
    _unless_gone("DeleteLifecycleHook", {"AutoScalingGroupName": of, "LifecycleHookName": resource.physical_id})


def _put_policy(resource: Resource) -> Created:
    """Named by CloudFormation; the physical id is the ARN, which ends with the name."""
    name = resource.physical_id.rpartition("policyName/")[2] or _physical_name(
        resource.stack, resource.logical_id, max_len=_NAME_LENGTH
    )
    arn = _call("PutScalingPolicy", resource.properties | {"PolicyName": name})["PolicyARN"]
    return arn, {"Arn": arn, "PolicyName": name}


def _delete_policy(resource: Resource) -> None:
    _unless_gone("DeletePolicy", {"PolicyName": resource.physical_id})


def _put_scheduled(resource: Resource) -> Created:
    name = resource.physical_id or _physical_name(resource.stack, resource.logical_id, max_len=_NAME_LENGTH)
    _call("PutScheduledUpdateGroupAction", resource.properties | {"ScheduledActionName": name})
    return name, {"ScheduledActionName": name}


def _delete_scheduled(resource: Resource) -> None:
    of = resource.properties["AutoScalingGroupName"]
    _unless_gone("DeleteScheduledAction", {"AutoScalingGroupName": of, "ScheduledActionName": resource.physical_id})


def _put_warm_pool(resource: Resource) -> Created:
    _call("PutWarmPool", resource.properties)
    return resource.properties["AutoScalingGroupName"], {}


def _delete_warm_pool(resource: Resource) -> None:
    _unless_gone("DeleteWarmPool", {"AutoScalingGroupName": resource.physical_id, "ForceDelete": True})


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return service.call(operation, coerce("autoscaling", operation, request))
    except ServiceError as error:
        detail = f"(Service: AutoScaling, Status Code: {error.status}, Error Code: {error.code})"
        raise NotStabilizedError(f"{error.message} {detail}") from error


def _unless_gone(operation: str, request: dict[str, Any]) -> None:
    try:
        service.call(operation, request)
    except ServiceError as error:
        if not any(said in error.message for said in ("not found", "No Lifecycle Hook", "No warm pool")):
            raise NotStabilizedError(error.message) from error


TYPES: dict[str, ResourceType] = {
    "AWS::AutoScaling::AutoScalingGroup": ResourceType(
        create=_create_group,
        delete=_delete_group,
        update=_update_group,
        replaced_by=("AutoScalingGroupName", "InstanceId"),
        slow=True,
    ),
    "AWS::AutoScaling::LifecycleHook": ResourceType(
        create=_put_hook,
        delete=_delete_hook,
        update=_put_hook,
        replaced_by=("AutoScalingGroupName", "LifecycleHookName"),
    ),
    "AWS::AutoScaling::WarmPool": ResourceType(
        create=_put_warm_pool, delete=_delete_warm_pool, update=_put_warm_pool, replaced_by=("AutoScalingGroupName",)
    ),
    "AWS::AutoScaling::ScalingPolicy": ResourceType(
        create=_put_policy, delete=_delete_policy, update=_put_policy, replaced_by=("AutoScalingGroupName",)
    ),
    "AWS::AutoScaling::ScheduledAction": ResourceType(
        create=_put_scheduled, delete=_delete_scheduled, update=_put_scheduled, replaced_by=("AutoScalingGroupName",)
    ),
}
