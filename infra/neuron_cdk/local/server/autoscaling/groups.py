"""The operations on groups and their instances."""

from __future__ import annotations

import uuid
from typing import Any

from ministack.core.responses import get_account_id, get_region

from ..api import ServiceError
from ..clock import clock
from . import activities, engine, hooks, instances, launching, lifecycle, mixed_policy, size, store
from .store import Record

_APART = ("LifecycleHookSpecificationList", "Tags", "DesiredCapacity", "InstanceId", "SkipZonalShiftValidation")
_TAG_KIND = "auto-scaling-group"
_REFUSED_SOURCES = ("LaunchConfigurationName", "InstanceId")


def create(request: dict[str, Any]) -> dict[str, Any]:
    name = request["AutoScalingGroupName"]
    if name in store.groups:
        raise ServiceError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
        )
    desired = request.get("DesiredCapacity", request["MinSize"])
    group: Record = {
        "DefaultCooldown": 300,
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 0,
        "TerminationPolicies": ["Default"],
        "NewInstancesProtectedFromScaleIn": False,
        "LoadBalancerNames": [],
        "TargetGroupARNs": [],
        "TrafficSources": [],
        "ServiceLinkedRoleARN": f"arn:aws:iam::{get_account_id()}:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling",
        **_kept(request),
        "AutoScalingGroupARN": f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:autoScalingGroup:{uuid.uuid4()}:"
        f"autoScalingGroupName/{name}",
        "CreatedTime": clock.now(),
        "DesiredCapacity": desired,
        "SuspendedProcesses": [],
        "EnabledMetrics": [],
        "Tags": [],
        "_instances": {},
        "_activities": [],
        "_hooks": {},
        "_policies": {},
        "_scheduled": {},
        "_notifications": [],
        "_refreshes": [],
        "_launch": {"failures": 0},
        "_replaced": 0,
        "_causes": [],
    }
    _check(group)
    if not group["MinSize"] <= desired <= group["MaxSize"]:
        raise ServiceError(
            "ValidationError",
            f"Desired capacity:{desired} must be between the specified min size:{group['MinSize']} and max "
            f"size:{group['MaxSize']}",
        )
    for given in request.get("LifecycleHookSpecificationList", []):
        group["_hooks"][given["LifecycleHookName"]] = hooks.made(name, given)
    _tag(group, request.get("Tags", []))
    if desired:
        cause = f"a user request created an AutoScalingGroup changing the desired capacity from 0 to {desired}."
        group["_causes"].append(activities.at(cause))
    store.groups[name] = group
    engine.soon()
    return {}


def update(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    if "MixedInstancesPolicy" in request:
        whole = mixed_policy.merged(group.get("MixedInstancesPolicy"), request["MixedInstancesPolicy"])
        request = request | {"MixedInstancesPolicy": whole}
    changed = group | _kept(request)
    if "MixedInstancesPolicy" in request:
        changed.pop("LaunchTemplate", None)
    elif "LaunchTemplate" in request:
        changed.pop("MixedInstancesPolicy", None)
    _check(changed)
    least, most = changed["MinSize"], changed["MaxSize"]
    desired = request.get("DesiredCapacity")
    if desired is not None and not least <= desired <= most:
        raise ServiceError(
            "ValidationError",
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}",
        )
    group.clear()
    group.update(changed)
    wanted = min(max(group["DesiredCapacity"] if desired is None else desired, least), most)
    size.resize(
        group,
        wanted,
        f"a user request update of AutoScalingGroup constraints to min: {least}, max: {most}, desired: {wanted}",
    )
    engine.soon()
    return {}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    name = request["AutoScalingGroupName"]
    group = store.group(name)
    if (group["_instances"] or "WarmPoolConfiguration" in group) and not request.get("ForceDelete"):
        raise ServiceError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still "
            "in the group.",
        )
    for instance in group["_instances"]:
        lifecycle.deregister(group["TargetGroupARNs"], instance)
        instances.terminate(instance)
    store.groups.pop(name)
    return {}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    wanted = request.get("AutoScalingGroupNames")
    filters = {each["Name"]: each["Values"] for each in request.get("Filters", [])}
    found = [
        shown(group, with_instances=request.get("IncludeInstances", True))
        for name, group in store.groups.items()
        if (not wanted or name in wanted) and _matches(group, filters)
    ]
    records, token = store.page(found, request)
    return {"AutoScalingGroups": records, "NextToken": token}


def shown(group: Record, *, with_instances: bool = True) -> Record:
    """The group as DescribeAutoScalingGroups has it."""
    inside = [each for each in group["_instances"].values() if not each["_in_pool"]]
    warmed = len(group["_instances"]) - len(inside)
    return (
        group
        | ({"Instances": inside} if with_instances else {})
        | ({"WarmPoolSize": warmed} if "WarmPoolConfiguration" in group else {})
    )


def describe_instances(request: dict[str, Any]) -> dict[str, Any]:
    wanted = request.get("InstanceIds")
    found = [
        each
        for group in store.groups.values()
        for each in group["_instances"].values()
        if not wanted or each["InstanceId"] in wanted
    ]
    records, token = store.page(found, request)
    return {"AutoScalingInstances": records, "NextToken": token}


def describe_activities(request: dict[str, Any]) -> dict[str, Any]:
    name = request.get("AutoScalingGroupName")
    of = [store.group(name)] if name else list(store.groups.values())
    wanted = request.get("ActivityIds")
    found = [each for group in of for each in group["_activities"] if not wanted or each["ActivityId"] in wanted]
    records, token = store.page(found, request, default=100)
    return {"Activities": records, "NextToken": token}


def set_desired_capacity(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    desired = request["DesiredCapacity"]
    for bound, side, broken in (
        ("MaxSize", "above max", desired > group["MaxSize"]),
        ("MinSize", "below min", desired < group["MinSize"]),
    ):
        if broken:
            raise ServiceError(
                "ValidationError",
                f"New SetDesiredCapacity value {desired} is {side} value {group[bound]} for the AutoScalingGroup.",
            )
    size.resize(group, desired, "a user request explicitly set group desired capacity")
    engine.soon()
    return {}


def terminate_instance(request: dict[str, Any]) -> dict[str, Any]:
    group, instance = _owned(request["InstanceId"])
    if request["ShouldDecrementDesiredCapacity"]:
        if group["DesiredCapacity"] <= group["MinSize"]:
            raise ServiceError(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({group['MinSize']}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size.",
            )
        group["DesiredCapacity"] -= 1
    if instance["LifecycleState"].startswith("Terminating"):
        activity = activities.find(group, instance["_activity"])
    else:
        cause = activities.at("instance was taken out of service in response to a user request.")
        activity = lifecycle.terminate(group, instance, cause)
    engine.soon()
    return {"Activity": activity}


def set_health(request: dict[str, Any]) -> dict[str, Any]:
    _, instance = _owned(request["InstanceId"])
    instance["HealthStatus"] = request["HealthStatus"]
    if request["HealthStatus"] == "Unhealthy":
        instance["_unhealthy"] = "an instance was taken out of service in response to a user health-check."
    engine.soon()
    return {}


def set_protection(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    for identifier in request["InstanceIds"]:
        if identifier not in group["_instances"]:
            raise ServiceError(
                "ValidationError",
                f"The instance {identifier} is not part of Auto Scaling group {group['AutoScalingGroupName']}.",
            )
        group["_instances"][identifier]["ProtectedFromScaleIn"] = request["ProtectedFromScaleIn"]
    engine.soon()
    return {}


def attach_target_groups(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    group["TargetGroupARNs"] = list(dict.fromkeys([*group["TargetGroupARNs"], *request["TargetGroupARNs"]]))
    for instance in group["_instances"].values():
        if instance["LifecycleState"] == "InService":
            lifecycle.register(group, instance["InstanceId"])
    return {}


def detach_target_groups(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    gone = request["TargetGroupARNs"]
    for instance in group["_instances"]:
        lifecycle.deregister(gone, instance)
    group["TargetGroupARNs"] = [arn for arn in group["TargetGroupARNs"] if arn not in gone]
    return {}


def put_tags(request: dict[str, Any]) -> dict[str, Any]:
    for tag in request["Tags"]:
        _tag(store.group(tag["ResourceId"]), [tag])
    return {}


def delete_tags(request: dict[str, Any]) -> dict[str, Any]:
    for tag in request["Tags"]:
        group = store.group(tag["ResourceId"])
        group["Tags"] = [each for each in group["Tags"] if each["Key"] != tag["Key"]]
    return {}


def describe_tags(request: dict[str, Any]) -> dict[str, Any]:
    filters = {each["Name"]: each["Values"] for each in request.get("Filters", [])}
    members = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
    found = [
        tag
        for group in store.groups.values()
        for tag in group["Tags"]
        if all(tag[members[name]] in values for name, values in filters.items() if name in members)
    ]
    records, token = store.page(found, request)
    return {"Tags": records, "NextToken": token}


def _owned(identifier: str) -> tuple[Record, Record]:
    group = store.owner_of(identifier)
    if group is None:
        raise ServiceError(
            "ValidationError", f"Instance Id not found - No managed instance found for instance ID: {identifier}"
        )
    return group, group["_instances"][identifier]


def _kept(request: dict[str, Any]) -> dict[str, Any]:
    """What of a request stands in the group; its launch template with id and name both, as AWS shows it."""
    for source in _REFUSED_SOURCES:
        if request.get(source):
            raise ServiceError("ValidationError", f"The embedded AWS launches from launch templates, not from {source}")
    kept = {name: value for name, value in request.items() if name not in _APART and value is not None}
    if "LaunchTemplate" in kept:
        kept |= launching.whole({"LaunchTemplate": kept["LaunchTemplate"]})
    if "MixedInstancesPolicy" in kept:
        kept |= launching.whole({"MixedInstancesPolicy": kept["MixedInstancesPolicy"]})
    zones = [instances.zone_of(each) for each in kept.get("VPCZoneIdentifier", "").split(",") if each]
    if zones:
        kept["AvailabilityZones"] = sorted(set(zones))
    return kept


def _check(group: Record) -> None:
    if group["MinSize"] > group["MaxSize"]:
        raise ServiceError(
            "ValidationError",
            f"Max bound, {group['MaxSize']}, must be greater than or equal to min bound, {group['MinSize']}",
        )
    if not ("LaunchTemplate" in group or "MixedInstancesPolicy" in group):
        raise ServiceError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    if not (group.get("VPCZoneIdentifier") or group.get("AvailabilityZones")):
        raise ServiceError("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
    mixed = group.get("MixedInstancesPolicy")
    if mixed:
        data = launching.template(launching.specification(group))["LaunchTemplateData"]
        if (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
            raise ServiceError(
                "InvalidQueryParameter",
                "Incompatible launch template: You cannot use a launch template that is set to request Spot Instances "
                "(InstanceMarketOptions) when you configure an Auto Scaling group with a mixed instances policy. Add a "
                "different launch template to the group and try again.",
            )


def _tag(group: Record, tags: list[Record]) -> None:
    name = group["AutoScalingGroupName"]
    for tag in tags:
        whole = {
            "ResourceId": name,
            "ResourceType": _TAG_KIND,
            "Key": tag["Key"],
            "Value": tag.get("Value", ""),
            "PropagateAtLaunch": tag.get("PropagateAtLaunch", False),
        }
        group["Tags"] = [each for each in group["Tags"] if each["Key"] != tag["Key"]] + [whole]


def _matches(group: Record, filters: dict[str, list[str]]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    return all(
        any(key in values for key in tags)
        if name == "tag-key"
        else any(value in values for value in tags.values())
        if name == "tag-value"
        else tags.get(name.removeprefix("tag:")) in values
        for name, values in filters.items()
    )
