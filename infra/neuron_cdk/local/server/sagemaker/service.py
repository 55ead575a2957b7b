"""SageMaker's two APIs on ministack: operations by name, and InvokeEndpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ministack.core.concurrency import run_reentrant

from .. import api
from ..api import Operation, Response, ServiceError
from . import endpoints, jobs, models, store

_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")


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
    "DescribeEndpoint": endpoints.describe,
    "DeleteEndpoint": endpoints.delete,
    "ListEndpoints": endpoints.list_all,
    "AddTags": _add_tags,
    "DeleteTags": _delete_tags,
    "ListTags": lambda request: {"Tags": store.tags_of(request["ResourceArn"])},
}

_control = api.handler("sagemaker", OPERATIONS)


def call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One operation, as the account and region of the request under way. Raises ``ServiceError``."""
    return api.call("sagemaker", OPERATIONS, name, request)


def configure(folder: Path, code: Path, saved: Callable[[], None]) -> None:
    """Give the service its folders below ``folder``, the code of the serving container, and what saves the state."""
    jobs.configure(folder / "run" / "jobs", saved)
    endpoints.configure(folder / "models", code, saved)


async def handle_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Response:
    invocation = _INVOCATION.fullmatch(path)
    if not invocation:
        answer: Response = await _control(method, path, headers, body, query)
        return answer
    try:
        # Its own thread: the container may be slow, and everything else goes on meanwhile.
        called: Response = await run_reentrant(endpoints.invoke, unquote(invocation[1]), headers, body)
        return called
    except ServiceError as error:
        members = getattr(error, "members", {})
        content = {"Message": error.message} | members
        return (
            error.status,
            {"Content-Type": "application/json", "x-amzn-errortype": error.code},
            json.dumps(content).encode(),
        )
