"""Application Auto Scaling: targets and policies are kept and described; nothing acts on them."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from . import api
from .api import Operation, ServiceError
from .sagemaker.store import now

_targets = AccountRegionScopedDict()
_policies = AccountRegionScopedDict()
Key = tuple[str, str, str]


def get_state() -> dict[str, Any]:
    return {"targets": copy.deepcopy(_targets), "policies": copy.deepcopy(_policies)}


def load_persisted_state(saved: dict[str, Any]) -> None:
    _targets.update(saved.get("targets", {}))
    _policies.update(saved.get("policies", {}))


def reset() -> None:
    _targets.clear()
    _policies.clear()


def _key(request: dict[str, Any]) -> Key:
    return request["ServiceNamespace"], request["ResourceId"], request["ScalableDimension"]


def _register(request: dict[str, Any]) -> dict[str, Any]:
    present = _targets.get(_key(request))
    if present is None:
        if not {"MinCapacity", "MaxCapacity"} <= request.keys():
            raise ServiceError(
                "ValidationException", "MinCapacity and MaxCapacity are required to register a new scalable target"
            )
        present = {
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{get_region()}:{get_account_id()}:"
            f"scalable-target/{uuid.uuid4().hex}",
            "CreationTime": now(),
        }
    changed = present | {name: value for name, value in request.items() if name != "Tags"}
    if changed["MinCapacity"] > changed["MaxCapacity"]:
        raise ServiceError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
    _targets[_key(request)] = changed
    return {"ScalableTargetARN": changed["ScalableTargetARN"]}


def _target(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] | None = _targets.get(_key(request))
    if found is None:
        namespace, resource, dimension = _key(request)
        raise ServiceError(
            "ObjectNotFoundException",
            f"No scalable target found for service namespace: {namespace}, resource ID: {resource}, "
            f"scalable dimension: {dimension}",
        )
    return found


def _deregister(request: dict[str, Any]) -> dict[str, Any]:
    _target(request)
    _targets.pop(_key(request))
    for key in [key for key in _policies if key[:3] == _key(request)]:
        _policies.pop(key)
    return {}


def _put_policy(request: dict[str, Any]) -> dict[str, Any]:
    _target(request)
    key = (*_key(request), request["PolicyName"])
    namespace, resource, _ = _key(request)
    present = _policies.get(key) or {
        "PolicyARN": f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{uuid.uuid4()}:"
        f"resource/{namespace}/{resource}:policyName/{request['PolicyName']}",
        "CreationTime": now(),
    }
    _policies[key] = present | request
    return {"PolicyARN": present["PolicyARN"], "Alarms": []}


def _delete_policy(request: dict[str, Any]) -> dict[str, Any]:
    if _policies.pop((*_key(request), request["PolicyName"]), None) is None:
        raise ServiceError(
            "ObjectNotFoundException", f"No scaling policy found for policy name: {request['PolicyName']}"
        )
    return {}


def _described(records: list[dict[str, Any]], request: dict[str, Any], ids: str, of: str) -> list[dict[str, Any]]:
    return [
        record
        for record in records
        if record["ServiceNamespace"] == request["ServiceNamespace"]
        and request.get("ScalableDimension") in (None, record["ScalableDimension"])
        and request.get("ResourceId") in (None, record["ResourceId"])
        and (not request.get(ids) or record[of] in request[ids])
    ]


OPERATIONS: dict[str, Operation] = {
    "RegisterScalableTarget": _register,
    "DeregisterScalableTarget": _deregister,
    "DescribeScalableTargets": lambda request: {
        "ScalableTargets": _described(_targets.values(), request, "ResourceIds", "ResourceId")
    },
    "PutScalingPolicy": _put_policy,
    "DeleteScalingPolicy": _delete_policy,
    "DescribeScalingPolicies": lambda request: {
        "ScalingPolicies": _described(_policies.values(), request, "PolicyNames", "PolicyName")
    },
}

handle_request = api.handler("application-autoscaling", OPERATIONS)


def call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One operation, as the account and region of the request under way. Raises ``ServiceError``."""
    return api.call("application-autoscaling", OPERATIONS, name, request)
