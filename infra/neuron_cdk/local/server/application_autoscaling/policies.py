"""The operations on scaling policies."""

from __future__ import annotations

import itertools
import uuid

from ministack.core.responses import get_account_id, get_region

from ..api import ServiceError
from ..clock import clock
from ..cloudwatch import alarms
from . import store, tracking
from .store import Record

_TRACKING, _STEPS = "TargetTrackingScaling", "StepScaling"
_CONFIGURATION = {
    _TRACKING: "TargetTrackingScalingPolicyConfiguration",
    _STEPS: "StepScalingPolicyConfiguration",
}


def put(request: Record) -> Record:
    """PutScalingPolicy."""
    key = store.key_of(store.target(request))
    name = request["PolicyName"]
    present: Record | None = store.policies.get((*key, name))
    kind = request.get("PolicyType") or (present["PolicyType"] if present else _STEPS)
    if kind not in _CONFIGURATION:
        raise _wrong(f"The policy type {kind} is not part of the embedded AWS, which has {', '.join(_CONFIGURATION)}")
    if present and present["PolicyType"] != kind:
        raise _wrong(f"The policy {name} is a {present['PolicyType']} policy: its type cannot be changed to {kind}")
    member = _CONFIGURATION[kind]
    if member not in request:
        raise _wrong(f"{member} is required for a {kind} policy")
    policy: Record = (present or _new(key, name)) | {member: request[member], "PolicyType": kind}
    if kind == _TRACKING:
        others = store.of_target(store.policies, key)
        tracking.check(policy, [other for other in others if other["PolicyType"] == _TRACKING])
        policy["_alarms"] = dict(policy.get("_alarms", {}))
        tracking.put_alarms(policy)
    else:
        _check_steps(policy[member])
    store.policies[(*key, name)] = policy
    return {"PolicyARN": policy["PolicyARN"], "Alarms": alarms.calling(policy["PolicyARN"])}


def delete(request: Record) -> Record:
    policy = store.policies.get((*store.key_of(request), request["PolicyName"]))
    if policy is None:
        raise ServiceError(
            "ObjectNotFoundException", f"No scaling policy found for policy name: {request['PolicyName']}"
        )
    remove(policy)
    return {}


def remove(policy: Record) -> None:
    """With the alarms that were made for it; those of others stay, and call nobody."""
    store.policies.pop((*store.key_of(policy), policy["PolicyName"]), None)
    tracking.remove_alarms(policy)


def describe(request: Record) -> Record:
    found = store.described(list(store.policies.values()), request, "PolicyNames", "PolicyName")
    return {"ScalingPolicies": [policy | {"Alarms": alarms.calling(policy["PolicyARN"])} for policy in found]}


def _new(key: store.Key, name: str) -> Record:
    namespace, resource, dimension = key
    return {
        "PolicyARN": f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{uuid.uuid4()}:"
        f"resource/{namespace}/{resource}:policyName/{name}",
        "PolicyName": name,
        "ServiceNamespace": namespace,
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "CreationTime": clock.now(),
    }


def _check_steps(configuration: Record) -> None:
    """Raise ``ValidationException`` for steps that leave a gap or overlap ("Step adjustments", user guide)."""
    for member in ("AdjustmentType", "StepAdjustments"):
        if not configuration.get(member):
            raise _wrong(f"{member} is required for a StepScaling policy")
    bounds = sorted(
        (
            step.get("MetricIntervalLowerBound", float("-inf")),
            step.get("MetricIntervalUpperBound", float("inf")),
        )
        for step in configuration["StepAdjustments"]
    )
    if any(low >= high for low, high in bounds):
        raise _wrong("A step's MetricIntervalUpperBound is greater than its MetricIntervalLowerBound")
    if any(high != low for (_, high), (low, _) in itertools.pairwise(bounds)):
        raise _wrong("There are gaps or overlaps between the step adjustments")


def _wrong(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
