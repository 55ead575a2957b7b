"""The server's own paths.

``GET /_neuron_cdk/status`` says what runs; ``PUT /_neuron_cdk/limits`` limits capacity; ``PUT /_neuron_cdk/quotas``
with ``{"L-2C3B7624": 256}`` says what Service Quotas grants, null that it is generous again. For fleets, each answering
how it stands then:

- ``PUT /_neuron_cdk/clock`` with ``{"speed": 120}`` or ``{"advance_s": 3600}``; ``GET`` shows it;
- ``PUT /_neuron_cdk/capacity`` says how many instances there can be: ``autoscaling.capacity``; ``GET`` shows it;
- ``PUT /_neuron_cdk/reservations`` makes reservations and capacity blocks: ``autoscaling.reservations``; ``GET`` too;
- ``PUT /_neuron_cdk/instances`` says how instances boot and answer hooks: ``autoscaling.settings``;
- ``POST /_neuron_cdk/interrupt`` with ``{"instance": "i-…"}`` takes a spot instance, ``POST /_neuron_cdk/rebalance``
  says that it is at risk;
- ``GET /_neuron_cdk/permissions`` tells what each role used of what it was granted, and what it was refused: ``iam``;
- ``PUT /_neuron_cdk/endpoints`` makes something go wrong with endpoints: ``sagemaker.faults``; ``GET`` shows it.

What is wrong with a request is said with status 400.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from ministack.services import cloudformation

from . import clock, recovery, service_quotas
from .api import ServiceError
from .autoscaling import controls
from .iam import survey
from .sagemaker import capacity, endpoints, faults, store


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer one request, as ASGI has it."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if (scope["method"], scope["path"]) in _CONTROLS:
        # In a thread: a jump of the clock takes its time, and what happens on the way may need the event loop.
        status, content = await asyncio.to_thread(_control, _CONTROLS[scope["method"], scope["path"]], body)
    else:
        status, content = _route(scope["method"], scope["path"], body)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def _route(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    if (method, path) == ("GET", "/_neuron_cdk/status"):
        return 200, _status()
    if (method, path) == ("PUT", "/_neuron_cdk/limits"):
        capacity.limit(json.loads(body))
        return 200, {}
    return 404, {"message": f"{method} {path} is not known here"}


_CONTROLS: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
    ("GET", "/_neuron_cdk/clock"): lambda _: clock.described(),
    ("PUT", "/_neuron_cdk/clock"): clock.change,
    ("PUT", "/_neuron_cdk/quotas"): service_quotas.grant,
    ("GET", "/_neuron_cdk/capacity"): controls.show_capacity,
    ("PUT", "/_neuron_cdk/capacity"): controls.capacity,
    ("GET", "/_neuron_cdk/reservations"): controls.show_reservations,
    ("PUT", "/_neuron_cdk/reservations"): controls.reservations,
    ("PUT", "/_neuron_cdk/instances"): controls.instances,
    ("GET", "/_neuron_cdk/endpoints"): lambda _: faults.shown(),
    ("GET", "/_neuron_cdk/permissions"): lambda _: survey.described(),
    ("PUT", "/_neuron_cdk/endpoints"): faults.change,
    ("POST", "/_neuron_cdk/interrupt"): controls.interrupt,
    ("POST", "/_neuron_cdk/rebalance"): controls.rebalance,
}


def _control(change: Callable[[dict[str, Any]], Any], body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        wanted = json.loads(body or b"{}")
        if not isinstance(wanted, dict):
            raise ValueError("give a JSON object")
        return 200, change(wanted)
    except (ValueError, ServiceError) as error:
        return 400, {"message": str(error)}


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
                "pids": endpoints.pids(endpoint),
                "variants": endpoints.sizes(endpoint),
                "components": endpoints.components_on(endpoint),
            }
            for endpoint in store.endpoints.all_values()
        },
    }
