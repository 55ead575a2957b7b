"""Models and endpoint configurations: descriptions, until an endpoint makes processes of them."""

from __future__ import annotations

from typing import Any

from ..api import ServiceError
from . import refusals, roles, store
from .store import Record


def create_model(request: Record) -> dict[str, Any]:
    if "PrimaryContainer" not in request and len(request.get("Containers", [])) != 1:
        raise ServiceError(
            "ValidationException", "the embedded AWS runs models of one container: give PrimaryContainer"
        )
    roles.check(request.get("ExecutionRoleArn"))
    return _create(store.models, "model", "Model", request)


def describe_model(request: Record) -> dict[str, Any]:
    return dict(store.find(store.models, "model", request["ModelName"]))


def delete_model(request: Record) -> dict[str, Any]:
    return _delete(store.models, "model", request["ModelName"])


def list_models(request: Record) -> dict[str, Any]:
    return _list(store.models, "Model", "Models", request)


def create_endpoint_config(request: Record) -> dict[str, Any]:
    refusals.check_config(request)
    roles.check(request.get("ExecutionRoleArn"))
    return _create(store.endpoint_configs, "endpoint-config", "EndpointConfig", request)


def describe_endpoint_config(request: Record) -> dict[str, Any]:
    return dict(store.find(store.endpoint_configs, "endpoint-config", request["EndpointConfigName"]))


def delete_endpoint_config(request: Record) -> dict[str, Any]:
    return _delete(store.endpoint_configs, "endpoint-config", request["EndpointConfigName"])


def list_endpoint_configs(request: Record) -> dict[str, Any]:
    return _list(store.endpoint_configs, "EndpointConfig", "EndpointConfigs", request)


def _create(records: Any, kind: str, member: str, request: Record) -> dict[str, Any]:
    name = request[f"{member}Name"]
    store.refuse_taken(records, kind, name)
    arn = store.arn(kind, name)
    records[name] = {key: value for key, value in request.items() if key != "Tags"} | {
        f"{member}Arn": arn,
        "CreationTime": store.now(),
    }
    store.tag(arn, request.get("Tags", []))
    return {f"{member}Arn": arn}


def _delete(records: Any, kind: str, name: str) -> dict[str, Any]:
    store.find(records, kind, name)
    records.pop(name)
    store.forget_tags(store.arn(kind, name))
    return {}


def _list(records: Any, member: str, answer: str, request: Record) -> dict[str, Any]:
    found, token = store.page(list(records.values()), request, name=f"{member}Name")
    shown = (f"{member}Name", f"{member}Arn", "CreationTime")
    return {answer: [{key: record[key] for key in shown} for record in found]} | ({"NextToken": token} if token else {})
