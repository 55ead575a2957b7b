"""The server's own paths.

``GET /_neuron_cdk/status`` says what runs; ``PUT /_neuron_cdk/limits`` limits capacity; ``PUT /_neuron_cdk/quotas``
with ``{"L-2C3B7624": 256}`` says what Service Quotas grants.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudformation

from . import recovery, service_quotas
from .sagemaker import capacity, endpoints, store


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer one request, as ASGI has it."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status, content = _route(scope["method"], scope["path"], body)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def _route(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    if (method, path) == ("GET", "/_neuron_cdk/status"):
        return 200, _status()
    if (method, path) == ("PUT", "/_neuron_cdk/limits"):
        capacity.limit(json.loads(body))
        return 200, {}
    if (method, path) == ("PUT", "/_neuron_cdk/quotas"):
        service_quotas.grant(json.loads(body))
        return 200, {}
    return 404, {"message": f"{method} {path} is not known here"}


def _status() -> dict[str, Any]:
    return {
        "ready": recovery.ready,
        "stacks": {
            stack["StackName"]: stack["StackStatus"]
            for stack in cloudformation._stacks.all_values()
            if stack["StackStatus"] != "DELETE_COMPLETE"
        },
        "jobs": {job["ProcessingJobName"]: job["ProcessingJobStatus"] for job in store.jobs.all_values()},
        "endpoints": {
            endpoint["EndpointName"]: {
                "status": endpoint["EndpointStatus"],
                "pids": endpoints.pids(endpoint["EndpointArn"]),
            }
            for endpoint in store.endpoints.all_values()
        },
    }
