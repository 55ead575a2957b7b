"""InvokeEndpoint: the container's answer, or the error SageMaker makes of having none."""

from __future__ import annotations

import time
from typing import Any

from ..api import Response, ServiceError
from . import calls, capture, components, faults, metrics, shadows, store
from .calls import Reply
from .store import Record
from .traffic import Serving

_COMPONENT = "x-amzn-sagemaker-inference-component"
_VARIANT = "x-amzn-sagemaker-target-variant"
_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"


def invoke(record: Record | None, serving: Serving | None, name: str, headers: dict[str, str], body: bytes) -> Response:
    """Answer one request to the endpoint ``name``. Raises ``ServiceError``."""
    started = time.monotonic()
    if record is None or serving is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {store.account()} not found.")
    fleet = serving.fleet
    if fleet.hosts_components:
        return _component(record, headers, body, started)
    if "AsyncInferenceConfig" in fleet.configuration:
        raise ServiceError(
            "ValidationError", f"Endpoint {name} is for asynchronous inference: use InvokeEndpointAsync."
        )
    if _COMPONENT in headers:
        raise ServiceError("ValidationError", f"Endpoint {name} has no inference components.")
    try:
        fleet, variant, replica = serving.enter(headers.get(_VARIANT))
    except KeyError:
        raise ServiceError("ValidationError", f"Variant {headers[_VARIANT]} of endpoint {name} not found.") from None
    if replica is None:
        raise ServiceError("ServiceUnavailable", f"Variant {variant.name} of endpoint {name} has no instances.", 503)
    sharing = max(variant.count, 1)
    shadows.copy(fleet, headers, body)
    try:
        reply = calls.call(replica, headers, body, faults.of(fleet.config, replica.model))
    finally:
        replica.leave()
    own = metrics.of_variant(name, variant.name, fleet.config)
    _record(reply, started, *own)
    metrics.record("InvocationsPerInstance", own[0], 1 / sharing)
    capture.keep(fleet, variant.name, headers, body, reply)
    return answer(record, reply, variant.name)


def answer(record: Record, reply: Reply, variant: str) -> Response:
    """What the client gets. Raises ``ModelError`` for anything but a container's 200."""
    if reply.status != 200:
        raise model_error(record, reply)
    kept = {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": variant}
    if _CUSTOM in reply.headers:
        kept[_CUSTOM] = reply.headers[_CUSTOM]
    return 200, kept, reply.content


def model_error(record: Record, reply: Reply) -> ServiceError:
    """The container answered something other than 200, or nothing (status 0)."""
    kind = "client" if 400 <= reply.status < 500 else "server"
    message = reply.content.decode(errors="replace")
    group = f"/aws/sagemaker/Endpoints/{record['EndpointName']}"
    region, account = record["EndpointArn"].split(":")[3:5]
    return ServiceError(
        "ModelError",
        f'Received {kind} error ({reply.status}) from primary with message "{message}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} "
        f"in account {account} for more information.",
        424,
        OriginalStatusCode=reply.status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{group}",
    )


def _component(record: Record, headers: dict[str, str], body: bytes, started: float) -> Response:
    endpoint, wanted = record["EndpointName"], headers.get(_COMPONENT)
    if not wanted:
        raise ServiceError(
            "ValidationError",
            "Inference Component Name header is required for endpoints to which you plan to deploy inference "
            "components. Please include Inference Component Name header or consider using SageMaker models.",
        )
    component = components.find(endpoint, wanted)
    replica = component.enter()
    own = {"InferenceComponentName": wanted}
    if replica is None:
        metrics.record("NoCapacityInvocationFailures", own, 1)
        raise ServiceError(
            "ValidationError",
            "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
            "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.",
        )
    sharing = max(component.count, 1)
    try:
        reply = calls.call(replica, headers, body, faults.of(wanted, replica.model))
    finally:
        replica.leave()
    _record(reply, started, own, *metrics.of_variant(endpoint, component.variant, record["EndpointConfigName"]))
    metrics.record("InvocationsPerCopy", own, 1 / sharing)
    return answer(record, reply, component.variant)


def _record(reply: Reply, started: float, *sets: dict[str, Any] | metrics.Dimensions) -> None:
    overhead = max(time.monotonic() - started - reply.seconds, 0.0)
    metrics.request(sets, status=reply.status, model_s=reply.seconds, overhead_s=overhead)
