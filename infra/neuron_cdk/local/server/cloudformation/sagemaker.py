"""SageMaker types. Ref gives the ARN, Fn::GetAtt the name; what waits for containers runs in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

from .. import patching
from ..api import ServiceError
from ..sagemaker import service
from .coercion import coerce
from .types import Created, NotStabilized, Properties, ResourceType

_physical_name = patching.original(provisioners, "_physical_name")
_NAME_LENGTH = 63
_FOR_UPDATES = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")


def _create(member: str) -> Callable[[str, Properties, str], Created]:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        name = properties.get(f"{member}Name") or _physical_name(stack, logical_id, max_len=_NAME_LENGTH)
        declared = {key: value for key, value in properties.items() if key not in _FOR_UPDATES}
        request = coerce("sagemaker", f"Create{member}", declared | {f"{member}Name": name})
        arn = _call(f"Create{member}", request)[f"{member}Arn"]
        return arn, {f"{member}Name": name, "Id": arn}

    return create


def _delete(member: str) -> Callable[[str, Properties], None]:
    def delete(physical_id: str, properties: Properties) -> None:
        try:
            service.call(f"Delete{member}", {f"{member}Name": _name(physical_id)})
        except ServiceError as error:
            if "Could not find" not in error.message:
                raise NotStabilized(error.message) from error

    return delete


def _retag(member: str) -> Callable[[str, Properties, Properties, str], Created]:
    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        _call("AddTags", {"ResourceArn": physical_id, "Tags": new.get("Tags", [])})
        return physical_id, {f"{member}Name": _name(physical_id), "Id": physical_id}

    return update


def _create_endpoint(logical_id: str, properties: Properties, stack: str) -> Created:
    physical_id, attributes = _create("Endpoint")(logical_id, properties, stack)
    described = _settled(physical_id)
    if described["EndpointStatus"] != "InService":
        # CloudFormation deletes what it could not bring up before it tells of the failure.
        _delete_endpoint(physical_id, properties)
        raise NotStabilized(
            f"Resource of type 'AWS::SageMaker::Endpoint' did not stabilize: {described.get('FailureReason')}"
        )
    return physical_id, attributes


def _update_endpoint(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
    request = coerce("sagemaker", "UpdateEndpoint", new | {"EndpointName": _name(physical_id)})
    tags = request.pop("Tags", [])
    if new["EndpointConfigName"] != old["EndpointConfigName"]:
        _call("UpdateEndpoint", request)
        described = _settled(physical_id)
        if described["EndpointConfigName"] != new["EndpointConfigName"]:
            raise NotStabilized(f"the endpoint is back on its previous configuration: {described.get('FailureReason')}")
    if tags:
        _call("AddTags", {"ResourceArn": physical_id, "Tags": tags})
    return physical_id, {"EndpointName": _name(physical_id), "Id": physical_id}


def _delete_endpoint(physical_id: str, properties: Properties) -> None:
    _delete("Endpoint")(physical_id, properties)
    _settled(physical_id)


def _settled(physical_id: str) -> dict[str, Any]:
    """The endpoint's description once nothing is under way; ``EndpointStatus`` Deleted when it is gone."""
    while True:
        try:
            described = service.call("DescribeEndpoint", {"EndpointName": _name(physical_id)})
        except ServiceError:
            return {"EndpointStatus": "Deleted"}
        if described["EndpointStatus"] in ("InService", "Failed"):
            return described
        time.sleep(0.05)


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return service.call(operation, request)
    except ServiceError as error:
        raise NotStabilized(
            f"{error.message} (Service: SageMaker, Status Code: {error.status}, Error Code: {error.code})"
        ) from error


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


TYPES = {
    "AWS::SageMaker::Model": ResourceType(
        create=_create("Model"),
        delete=_delete("Model"),
        update=_retag("Model"),
        replaced_by=("ModelName", "PrimaryContainer", "Containers", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation", "InferenceExecutionConfig"),
        tagged=True,
    ),
    "AWS::SageMaker::EndpointConfig": ResourceType(
        create=_create("EndpointConfig"),
        delete=_delete("EndpointConfig"),
        update=_retag("EndpointConfig"),
        replaced_by=(
            "EndpointConfigName", "ProductionVariants", "ShadowProductionVariants", "DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig",
            "ExplainerConfig", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation",
        ),
        tagged=True,
    ),
    "AWS::SageMaker::Endpoint": ResourceType(
        create=_create_endpoint,
        delete=_delete_endpoint,
        update=_update_endpoint,
        replaced_by=("EndpointName",),
        tagged=True,
        slow=True,
    ),
}  # fmt: skip
