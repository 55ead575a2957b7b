"""Asynchronous inference: requests wait in a queue, answers go to S3, and topics are told ("Asynchronous inference").

The queue lives in the server's memory: what waits when it ends is gone.
"""

from __future__ import annotations

import base64
import contextvars
import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.services import sns

from .. import patching
from ..api import Response, ServiceError
from ..clock import clock
from ..iam.authorization import RefusedError
from . import calls, faults, invocations, metrics, roles, store, transfer
from .calls import Reply
from .fleet import Fleet
from .replicas import Replica
from .store import Record
from .traffic import Serving

logger = logging.getLogger("neuron_cdk.local")

_publish = patching.original(sns, "publish_internal")
_RefusedError = patching.original(sns, "SnsPublishError")

_TTL_SECONDS = 21_600.0  # RequestTTLSeconds and InvocationTimeoutSeconds where a request has none (API reference)
_CALL_SECONDS = 900.0
_CONCURRENT = 4
"""Where MaxConcurrentInvocationsPerInstance is not given SageMaker chooses; how it does is not documented."""
_MOST_IN_TOPIC = 128 * 1024  # bytes of an answer that a notification carries
_PREFIX = "x-amzn-sagemaker-"
_AGAIN_SECONDS = 0.2
"""Real ones between two looks for an instance."""


@dataclass(frozen=True, slots=True)
class Request:
    """One accepted request; times are the clock's."""

    id: str
    input: str
    output: str
    failure: str | None
    headers: dict[str, str]
    received: float
    expires: float
    seconds: float


@dataclass(eq=False)
class _Queue:
    """What waits at an endpoint, and the thread that takes from it."""

    serving: Serving
    waiting: deque[Request] = field(default_factory=deque)
    under_way: int = 0
    ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)


_queues: dict[Serving, _Queue] = {}


def watch(serving: Serving) -> None:
    """Serve the endpoint's queue from now on, if it is an asynchronous one."""
    if "AsyncInferenceConfig" in serving.fleet.configuration:
        queue = _queues[serving] = _Queue(serving)
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(_serve, queue), name=f"async-{serving.name}", daemon=True).start()


def forget(serving: Serving) -> None:
    queue = _queues.pop(serving, None)
    if queue:
        with queue.changed:
            queue.ended = True
            queue.changed.notify_all()


def backlog(serving: Serving) -> int | None:
    """Requests that wait or are being processed ("ApproximateBacklogSize"); None for an endpoint without a queue."""
    queue = _queues.get(serving)
    return len(queue.waiting) + queue.under_way if queue else None


def accept(record: Record, serving: Serving, headers: dict[str, str], body: bytes) -> Response:
    """InvokeEndpointAsync. Raises ``ServiceError``."""
    queue = _queues.get(serving)
    if queue is None:
        raise ServiceError("ValidationError", f"Endpoint {record['EndpointName']} is not for asynchronous inference.")
    config = serving.fleet.configuration["AsyncInferenceConfig"]["OutputConfig"]
    where = headers.get(f"{_PREFIX}inputlocation")
    if (not where) == (not body):
        raise ServiceError("ValidationError", "Give the request by one of InputLocation and Body.")
    name = str(uuid.uuid4())
    path = "/".join(
        part.strip("/")
        for part in (
            config["S3OutputPath"],
            headers.get(f"{_PREFIX}s3outputpathextension", ""),
            headers.get(f"{_PREFIX}filename", f"{name}.out"),
        )
        if part
    )
    if not where:
        where = f"{config['S3OutputPath'].rstrip('/')}/{name}.in"
        try:
            transfer.put(where, body)
        except transfer.TransferError as error:
            raise ServiceError("ValidationError", f"The request cannot be kept: {error}") from error
    failures = config.get("S3FailurePath")
    now = clock.now()
    request = Request(
        headers.get(f"{_PREFIX}inference-id") or str(uuid.uuid4()),
        where,
        path,
        f"{failures.rstrip('/')}/{name}-error.out" if failures else None,
        headers,
        now,
        now + float(headers.get(f"{_PREFIX}requestttlseconds", _TTL_SECONDS)),
        float(headers.get(f"{_PREFIX}invocationtimeoutseconds", _CALL_SECONDS)),
    )
    with queue.changed:
        queue.waiting.append(request)
        queue.changed.notify_all()
    told = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": request.output}
    if request.failure:
        told["X-Amzn-SageMaker-FailureLocation"] = request.failure
    return 202, told, json.dumps({"InferenceId": request.id}).encode()


def _serve(queue: _Queue) -> None:
    while True:
        with queue.changed:
            while not queue.ended and (not queue.waiting or not _has_room(queue)):
                # Instances come and go without telling: look again before long.
                queue.changed.wait(None if not queue.waiting else _AGAIN_SECONDS)
            if queue.ended:
                return
            request = queue.waiting.popleft()
            queue.under_way += 1
        threading.Thread(
            target=contextvars.copy_context().run, args=(_process, queue, request), name="async", daemon=True
        ).start()


def _has_room(queue: _Queue) -> bool:
    client: dict[str, int] = queue.serving.fleet.configuration["AsyncInferenceConfig"].get("ClientConfig", {})
    most = client.get("MaxConcurrentInvocationsPerInstance", _CONCURRENT)
    return queue.under_way < most * sum(variant.count for fleet in queue.serving.fleets for variant in fleet.variants)


def _process(queue: _Queue, request: Request) -> None:
    serving = queue.serving
    answered = True
    try:
        with roles.acting(serving.fleet.role):
            answered = _answer(serving, request)
    except Exception:
        logger.exception("an asynchronous request to %s", serving.name)
    if not answered:
        time.sleep(_AGAIN_SECONDS)
    with queue.changed:
        queue.under_way -= 1
        if not answered:
            queue.waiting.appendleft(request)
        queue.changed.notify_all()


def _answer(serving: Serving, request: Request) -> bool:
    """Whether the request is done with, well or badly; else it waits on, for its instance has gone meanwhile."""
    if clock.now() > request.expires:
        metrics.record("ExpiredRequests", {"EndpointName": serving.name}, 1)
        _failed(serving, request, "ClientError: the request expired in the queue", None)
        return True
    try:
        body = transfer.get(request.input)
    except transfer.TransferError as error:
        _failed(serving, request, f"ClientError: the input could not be read: {error}", None)
        return True
    fleet, variant, replica = serving.enter(None)
    if replica is None:
        return False
    metrics.record("TimeInBacklog", {"EndpointName": serving.name}, _ms(request), "Milliseconds")
    reply = _call(fleet, replica, request, body)
    for dimensions in metrics.of_variant(serving.name, variant.name, fleet.config):
        metrics.record("Invocation4XXErrors", dimensions, float(400 <= reply.status < 500))
        metrics.record("Invocation5XXErrors", dimensions, float(reply.status == 0 or reply.status >= 500))
        metrics.record("ModelLatency", dimensions, reply.seconds * 1e6, "Microseconds")
    own = {"EndpointName": serving.name}
    metrics.record("InvocationsProcessed", own, 1)
    metrics.record("TotalProcessingTime", own, _ms(request), "Milliseconds")
    if reply.status != 200:
        record = store.endpoints[serving.name]
        _failed(serving, request, f"ClientError: {invocations.model_error(record, reply).message}", reply)
        return True
    try:
        transfer.put(request.output, reply.content, reply.content_type)
    except transfer.TransferError as error:
        _failed(serving, request, f"ClientError: the answer could not be written: {error}", None)
        return True
    _tell(serving, request, "Completed", reply, {"outputLocation": request.output})
    return True


def _ms(request: Request) -> float:
    return (clock.now() - request.received) * 1000


def _call(fleet: Fleet, replica: Replica, request: Request, body: bytes) -> Reply:
    renamed = {"content-type": f"{_PREFIX}content-type", "accept": f"{_PREFIX}accept"}
    headers = {name: request.headers[given] for name, given in renamed.items() if given in request.headers}
    custom = f"{_PREFIX}custom-attributes"
    if custom in request.headers:
        headers[custom] = request.headers[custom]
    fault = faults.of(fleet.config, replica.model)
    try:
        return calls.call(replica, headers, body, fault, seconds=request.seconds)
    finally:
        replica.leave()


def _failed(serving: Serving, request: Request, reason: str, reply: Reply | None) -> None:
    metrics.record("InvocationFailures", {"EndpointName": serving.name}, 1)
    if request.failure:
        try:
            transfer.put(request.failure, reply.content if reply else reason.encode())
        except transfer.TransferError as error:
            logger.warning("a failure of %s could not be written: %s", serving.name, error)
    _tell(serving, request, "Failed", reply, {"outputLocation": request.failure} if request.failure else {}, reason)


def _tell(
    serving: Serving,
    request: Request,
    status: str,
    reply: Reply | None,
    response: Mapping[str, str],
    reason: str | None = None,
) -> None:
    """To the topic of successes or of errors, if the configuration has it."""
    config = serving.fleet.configuration["AsyncInferenceConfig"]["OutputConfig"].get("NotificationConfig", {})
    topic = config.get("SuccessTopic" if status == "Completed" else "ErrorTopic")
    if not topic:
        return
    parameters = {"endpointName": serving.name, "inputLocation": request.input}
    for member, header in (("contentType", "content-type"), ("accept", "accept")):
        if f"{_PREFIX}{header}" in request.headers:
            parameters[member] = request.headers[f"{_PREFIX}{header}"]
    message: dict[str, Any] = {
        "awsRegion": store.region(),
        "eventTime": _time(clock.now()),
        "receivedTime": _time(request.received),
        "invocationStatus": status,
        "requestParameters": parameters,
        "responseParameters": dict(response) | ({"contentType": reply.content_type} if reply else {}),
        "inferenceId": request.id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    if reason:
        message["failureReason"] = reason
    wanted = "SUCCESS_NOTIFICATION_TOPIC" if status == "Completed" else "ERROR_NOTIFICATION_TOPIC"
    if reply and wanted in config.get("IncludeInferenceResponseIn", []):
        content = base64.b64encode(reply.content[:_MOST_IN_TOPIC]).decode()
        message["responseBody"] = {"content": content, "encoding": "BASE64"}
    try:
        roles.may_publish(topic)
        _publish(topic, json.dumps(message), "")
    except (RefusedError, _RefusedError) as error:
        logger.warning("a notification of %s was refused: %s", serving.name, error)


def _time(moment: float) -> str:
    import datetime

    return (
        datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
