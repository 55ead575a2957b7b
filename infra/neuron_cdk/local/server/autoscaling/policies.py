"""Scaling policies: kept and described. What they would do is ``neuron_cdk.scaling_rules``' to say."""

from __future__ import annotations

import uuid
from typing import Any

from ministack.core.responses import get_account_id, get_region

from ..api import ServiceError
from . import store


def put(request: dict[str, Any]) -> dict[str, Any]:
    group = store.group(request["AutoScalingGroupName"])
    kind = request.get("PolicyType", "SimpleScaling")
    needed = {
        "SimpleScaling": "AdjustmentType",
        "StepScaling": "StepAdjustments",
        "TargetTrackingScaling": "TargetTrackingConfiguration",
        "PredictiveScaling": "PredictiveScalingConfiguration",
    }
    if kind not in needed:
        raise ServiceError("ValidationError", f"Unsupported policy type: {kind}")
    if needed[kind] not in request:
        raise ServiceError("ValidationError", f"{needed[kind]} is required for policy type {kind}")
    name = request["PolicyName"]
    arn = group["_policies"].get(name, {}).get("PolicyARN") or (
        f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{uuid.uuid4()}:"
        f"autoScalingGroupName/{group['AutoScalingGroupName']}:policyName/{name}"
    )
    group["_policies"][name] = {"Enabled": True, "Alarms": []} | request | {"PolicyType": kind, "PolicyARN": arn}
    return {"PolicyARN": arn, "Alarms": []}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    wanted, of = request["PolicyName"], request.get("AutoScalingGroupName")
    for group in store.groups.values():
        for name, policy in list(group["_policies"].items()):
            if of in (None, group["AutoScalingGroupName"]) and wanted in (name, policy["PolicyARN"]):
                del group["_policies"][name]
                return {}
    raise ServiceError("ValidationError", f"Policy {wanted} not found")


def describe(request: dict[str, Any]) -> dict[str, Any]:
    of, names, kinds = (request.get(each) for each in ("AutoScalingGroupName", "PolicyNames", "PolicyTypes"))
    found = [
        policy
        for group in store.groups.values()
        if of in (None, group["AutoScalingGroupName"])
        for name, policy in group["_policies"].items()
        if (not names or name in names or policy["PolicyARN"] in names) and (not kinds or policy["PolicyType"] in kinds)
    ]
    records, token = store.page(found, request)
    return {"ScalingPolicies": records, "NextToken": token}
