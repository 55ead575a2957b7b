"""SageMaker's API: the operations by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import api
from ..api import Operation
from . import components, endpoints, jobs, lifecycle, models, store


def _add_tags(request: dict[str, Any]) -> dict[str, Any]:
    store.tag(request["ResourceArn"], request["Tags"])
    return {"Tags": store.tags_of(request["ResourceArn"])}


def _delete_tags(request: dict[str, Any]) -> dict[str, Any]:
    store.untag(request["ResourceArn"], request["TagKeys"])
    return {}


OPERATIONS: dict[str, Operation] = {
    "CreateProcessingJob": jobs.create,
    "DescribeProcessingJob": jobs.describe,
    "StopProcessingJob": jobs.stop,
    "ListProcessingJobs": jobs.list_all,
    "CreateModel": models.create_model,
    "DescribeModel": models.describe_model,
    "DeleteModel": models.delete_model,
    "ListModels": models.list_models,
    "CreateEndpointConfig": models.create_endpoint_config,
    "DescribeEndpointConfig": models.describe_endpoint_config,
    "DeleteEndpointConfig": models.delete_endpoint_config,
    "ListEndpointConfigs": models.list_endpoint_configs,
    "CreateEndpoint": endpoints.create,
    "UpdateEndpoint": endpoints.update,
    "UpdateEndpointWeightsAndCapacities": endpoints.update_weights_and_capacities,
    "DescribeEndpoint": endpoints.describe,
    "DeleteEndpoint": endpoints.delete,
    "ListEndpoints": endpoints.list_all,
    "CreateInferenceComponent": components.create,
    "DescribeInferenceComponent": components.describe,
    "ListInferenceComponents": components.list_all,
    "UpdateInferenceComponent": components.update,
    "UpdateInferenceComponentRuntimeConfig": components.update_copies,
    "DeleteInferenceComponent": components.delete,
    "AddTags": _add_tags,
    "DeleteTags": _delete_tags,
    "ListTags": lambda request: {"Tags": store.tags_of(request["ResourceArn"])},
}

handle_request = api.handler("sagemaker", OPERATIONS)


def call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One operation, as the account and region of the request under way. Raises ``ServiceError``."""
    return api.call("sagemaker", OPERATIONS, name, request)


def configure(folder: Path, code: Path, saved: Callable[[], None]) -> None:
    """Give the service its folders below ``folder``, the code of the serving container, and what saves the state."""
    jobs.configure(folder / "run" / "jobs", saved)
    lifecycle.configure(folder / "models", code, saved)
