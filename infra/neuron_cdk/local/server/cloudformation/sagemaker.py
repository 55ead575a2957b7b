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
from .types import Created, NotStabilizedError, Properties, Resource, ResourceType

_physical_name = patching.original(provisioners, "_physical_name")
_NAME_LENGTH = 63
_NOT_TO_CREATE = {
    "Model": (),
    "EndpointConfig": (),
    "Endpoint": ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig"),
    "InferenceComponent": ("DeploymentConfig", "EndpointArn"),
}
"""Properties that are for updates, or read only."""


def _create(member: str) -> Callable[[Resource], Created]:
    def create(resource: Resource) -> Created:
        declared = {key: value for key, value in resource.properties.items() if key not in _NOT_TO_CREATE[member]}
        name = declared.get(f"{member}Name") or _physical_name(
            resource.stack, resource.logical_id, max_len=_NAME_LENGTH
        )
        answer = _call(f"Create{member}", declared | {f"{member}Name": name})
        return _created(member, answer[f"{member}Arn"])

    return create


def _delete(member: str) -> Callable[[Resource], None]:
    def delete(resource: Resource) -> None:
        try:
            service.call(f"Delete{member}", {f"{member}Name": _name(resource.physical_id)})
        except ServiceError as error:
            if "Could not find" not in error.message:
                raise NotStabilizedError(error.message) from error

    return delete


def _retag(member: str) -> Callable[[Resource], Created]:
    """Models and configurations are replaced for anything but their tags."""

    def update(resource: Resource) -> Created:
        _set_tags(resource)
        return _created(member, resource.physical_id)

    return update


def _create_endpoint(resource: Resource) -> Created:
    arn, attributes = _create("Endpoint")(resource)
    described = _settled(arn)
    if described["EndpointStatus"] != "InService":
        # CloudFormation removes what it could not bring up; ministack has no record of it yet.
        _delete_endpoint(Resource(resource.properties, physical_id=arn))
        raise NotStabilizedError(
            f"Resource of type 'AWS::SageMaker::Endpoint' did not stabilize: {described.get('FailureReason')}"
        )
    return arn, attributes


def _update_endpoint(resource: Resource) -> Created:
    declared = {key: value for key, value in resource.properties.items() if key != "Tags"}
    if declared["EndpointConfigName"] != resource.previous["EndpointConfigName"]:
        _call("UpdateEndpoint", declared | {"EndpointName": _name(resource.physical_id)})
        described = _settled(resource.physical_id)
        # Taken back without a reason, CloudFormation believes it was done: it waits for the status only.
        if described["EndpointConfigName"] != declared["EndpointConfigName"] and "FailureReason" in described:
            raise NotStabilizedError(f"the endpoint keeps its previous configuration: {described.get('FailureReason')}")
    _set_tags(resource)
    return _created("Endpoint", resource.physical_id)


def _delete_endpoint(resource: Resource) -> None:
    _settled(resource.physical_id)  # SageMaker refuses while an update is under way
    _delete("Endpoint")(resource)
    _settled(resource.physical_id)


def _settled(arn: str) -> dict[str, Any]:
    """The endpoint's description once nothing is under way; ``EndpointStatus`` Deleted when it is gone."""
    while True:
        try:
            described = service.call("DescribeEndpoint", {"EndpointName": _name(arn)})
        except ServiceError:
            return {"EndpointStatus": "Deleted"}
        if described["EndpointStatus"] in ("InService", "Failed", "UpdateRollbackFailed"):
            return described
        time.sleep(0.05)


def _create_component(resource: Resource) -> Created:
    arn, _ = _create("InferenceComponent")(resource)
    described = _settled_component(arn)
    if described["InferenceComponentStatus"] != "InService":
        _delete_component(Resource(resource.properties, physical_id=arn))
        raise NotStabilizedError(
            f"Resource of type 'AWS::SageMaker::InferenceComponent' did not stabilize: {described.get('FailureReason')}"
        )
    return _component(arn, described)


def _update_component(resource: Resource) -> Created:
    members = ("Specification", "Specifications", "RuntimeConfig", "DeploymentConfig")
    declared = {key: resource.properties[key] for key in members if key in resource.properties}
    if any(resource.properties.get(key) != resource.previous.get(key) for key in members):
        _call("UpdateInferenceComponent", declared | {"InferenceComponentName": _name(resource.physical_id)})
        described = _settled_component(resource.physical_id)
        if "FailureReason" in described:
            raise NotStabilizedError(described["FailureReason"])
    _set_tags(resource)
    return _component(resource.physical_id, _settled_component(resource.physical_id))


def _delete_component(resource: Resource) -> None:
    _settled_component(resource.physical_id)  # SageMaker refuses while an update is under way
    _delete("InferenceComponent")(resource)
    _settled_component(resource.physical_id)


def _settled_component(arn: str) -> dict[str, Any]:
    """The component's description once nothing is under way; its status is Deleted when it is gone."""
    while True:
        try:
            described = service.call("DescribeInferenceComponent", {"InferenceComponentName": _name(arn)})
        except ServiceError:
            return {"InferenceComponentStatus": "Deleted"}
        if described["InferenceComponentStatus"] in ("InService", "Failed"):
            return described
        time.sleep(0.05)


def _component(arn: str, described: dict[str, Any]) -> Created:
    """Fn::GetAtt gives what the template reference lists, with dots."""
    attributes = {
        "InferenceComponentArn": arn,
        "InferenceComponentName": _name(arn),
        "InferenceComponentStatus": described["InferenceComponentStatus"],
        "CreationTime": described["CreationTime"],
        "LastModifiedTime": described["LastModifiedTime"],
        "RuntimeConfig.CurrentCopyCount": described["RuntimeConfig"]["CurrentCopyCount"],
        "RuntimeConfig.DesiredCopyCount": described["RuntimeConfig"]["DesiredCopyCount"],
    }
    return arn, attributes


def _set_tags(resource: Resource) -> None:
    if resource.properties.get("Tags"):
        _call("AddTags", {"ResourceArn": resource.physical_id, "Tags": resource.properties["Tags"]})


def _call(operation: str, request: Properties) -> dict[str, Any]:
    try:
        return service.call(operation, coerce("sagemaker", operation, request))
    except ServiceError as error:
        detail = f"(Service: SageMaker, Status Code: {error.status}, Error Code: {error.code})"
        raise NotStabilizedError(f"{error.message} {detail}") from error


def _created(member: str, arn: str) -> Created:
    return arn, {f"{member}Name": _name(arn), "Id": arn}


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


TYPES: dict[str, ResourceType] = {
    "AWS::SageMaker::Model": ResourceType(
        create=_create("Model"),
        delete=_delete("Model"),
        update=_retag("Model"),
        replaced_by=(
            "ModelName",
            "PrimaryContainer",
            "Containers",
            "ExecutionRoleArn",
            "VpcConfig",
            "EnableNetworkIsolation",
            "InferenceExecutionConfig",
        ),
        tagged=True,
    ),
    "AWS::SageMaker::EndpointConfig": ResourceType(
        create=_create("EndpointConfig"),
        delete=_delete("EndpointConfig"),
        update=_retag("EndpointConfig"),
        replaced_by=(
            "EndpointConfigName",
            "ProductionVariants",
            "ShadowProductionVariants",
            "DataCaptureConfig",
            "KmsKeyId",
            "AsyncInferenceConfig",
            "ExplainerConfig",
            "ExecutionRoleArn",
            "VpcConfig",
            "EnableNetworkIsolation",
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
    "AWS::SageMaker::InferenceComponent": ResourceType(
        create=_create_component,
        delete=_delete_component,
        update=_update_component,
        replaced_by=("InferenceComponentName", "EndpointName", "VariantName"),
        tagged=True,
        slow=True,
    ),
}
