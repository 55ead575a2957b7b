"""Endpoints: one fleet serves, an update starts another beside it, swaps, then ends the first."""

from __future__ import annotations

import contextvars
import http.client
import logging
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..api import Response, ServiceError
from . import capacity, fleet, store
from .fleet import DeploymentError, Fleet
from .store import Record

logger = logging.getLogger("neuron_cdk.local")

_REASON = 1024  # the model's limit for FailureReason
_CALL_SECONDS = 60.0  # how long SageMaker waits for a container's answer
_fleets: dict[str, Fleet] = {}
_folder: Path
_saved: Callable[[], None]


def configure(folder: Path, code: Path, saved: Callable[[], None]) -> None:
    """Where models are kept, where ``neuron_jobs`` lies, and what to call after each deployment."""
    global _folder, _saved
    _folder, _saved = folder, saved
    Fleet.code = code


def create(request: Record) -> dict[str, Any]:
    name, config = request["EndpointName"], request["EndpointConfigName"]
    _check(config)
    store.refuse_taken(store.endpoints, "endpoint", name)
    arn = store.arn("endpoint", name)
    moment = store.now()
    store.endpoints[name] = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": config,
        "EndpointStatus": "Creating",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }
    store.tag(arn, request.get("Tags", []))
    _begin(_deploy, name, config)
    return {"EndpointArn": arn}


def update(request: Record) -> dict[str, Any]:
    name, config = request["EndpointName"], request["EndpointConfigName"]
    record = store.find(store.endpoints, "endpoint", name)
    if (
        record["EndpointStatus"] == "Failed"
    ):  # "DeleteEndpoint is the only operation" left (API reference, EndpointStatus)
        raise ServiceError(
            "ValidationException", f'Cannot update endpoint "{record["EndpointArn"]}": its status is Failed.'
        )
    if record["EndpointStatus"] != "InService":
        raise ServiceError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    _check(config)
    record.pop("FailureReason", None)
    record.update(EndpointStatus="Updating", LastModifiedTime=store.now())
    _begin(_deploy, name, config)
    return {"EndpointArn": record["EndpointArn"]}


def describe(request: Record) -> dict[str, Any]:
    record = store.find(store.endpoints, "endpoint", request["EndpointName"])
    serving = _fleets.get(record["EndpointArn"])
    shown = {key: value for key, value in record.items() if key != "Deployment"}
    return shown | ({"ProductionVariants": fleet.images(serving.variants)} if serving else {})


def delete(request: Record) -> dict[str, Any]:
    name = request["EndpointName"]
    record = store.find(store.endpoints, "endpoint", name)
    if record["EndpointStatus"] in ("Creating", "Updating", "Deleting"):
        raise ServiceError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    record.update(EndpointStatus="Deleting", LastModifiedTime=store.now())
    _begin(_remove, name)
    return {}


def list_all(request: Record) -> dict[str, Any]:
    found, token = store.page(list(store.endpoints.values()), request, name="EndpointName", status="EndpointStatus")
    shown = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    return {"Endpoints": [{key: record[key] for key in shown} for record in found]} | (
        {"NextToken": token} if token else {}
    )


def pids(arn: str) -> list[int]:
    """The processes that answer for the endpoint."""
    serving = _fleets.get(arn)
    return serving.pids if serving else []


def restart() -> None:
    """Start again what the saved state says is in service, from the files it left; an update under way is given up.

    Runs in a thread of its own, before anybody is told that the server is ready.
    """
    kept = {record["Deployment"] for record in store.endpoints.all_values() if "Deployment" in record}
    for leftover in _folder.glob("*"):
        if leftover.name not in kept:
            shutil.rmtree(leftover, ignore_errors=True)
    for (account, region, name), record in store.endpoints.all_items():
        contextvars.copy_context().run(_restart_one, account, region, name, record)


def _restart_one(account: str, region: str, name: str, record: Record) -> None:
    store.speak_for(account, region)
    if "Deployment" not in record:  # never came into service
        if record["EndpointStatus"] == "Deleting":
            store.endpoints.pop(name)
        else:
            record.update(
                EndpointStatus="Failed", FailureReason="the embedded AWS ended while the endpoint was created"
            )
        return
    serving = Fleet(name, record["EndpointConfigName"], _folder / record["Deployment"])
    try:
        serving.start()
    except Exception as error:
        logger.exception("endpoint %s does not come back", name)
        record.update(EndpointStatus="Failed", FailureReason=str(error)[:_REASON])
    else:
        _fleets[record["EndpointArn"]] = serving
        record["EndpointStatus"] = "InService"


def invoke(name: str, headers: dict[str, str], body: bytes) -> Response:
    """InvokeEndpoint: the container's answer, or the error SageMaker makes of having none."""
    record = store.endpoints.get(name)
    serving = _fleets.get(record["EndpointArn"]) if record else None
    if record is None or serving is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {store.account()} not found.")
    wanted = headers.get("x-amzn-sagemaker-target-variant")
    try:
        variant, instance = serving.choose(wanted)
    except KeyError:
        raise ServiceError("ValidationError", f"Variant {wanted} of endpoint {name} not found.") from None
    passed = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes")
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=_CALL_SECONDS)
    try:
        connection.request("POST", "/invocations", body, {key: headers[key] for key in passed if key in headers})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _model_error(
            name, record, 0, f"the container does not answer ({error or type(error).__name__})"
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise _model_error(name, record, answer.status, content.decode(errors="replace"))
    kept = {"Content-Type": answer.getheader("Content-Type", "application/octet-stream")}
    custom = answer.getheader("X-Amzn-SageMaker-Custom-Attributes")
    return (
        200,
        kept
        | {"x-Amzn-Invoked-Production-Variant": variant.name}
        | ({"X-Amzn-SageMaker-Custom-Attributes": custom} if custom else {}),
        content,
    )


def _model_error(endpoint: str, record: Record, status: int, message: str) -> ServiceError:
    """The container answered something other than 200, or nothing (status 0)."""
    kind = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    region, account = record["EndpointArn"].split(":")[3:5]
    return ServiceError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} "
        f"in account {account} for more information.",
        424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{group}",
    )


def _check(config: str) -> None:
    configuration = store.find(store.endpoint_configs, "endpoint-config", config)
    for variant in configuration["ProductionVariants"]:
        capacity.check_quota(variant["InstanceType"], usage="endpoint usage")


def _begin(work: Callable[..., None], *arguments: str) -> None:
    """Run ``work`` in a thread that speaks for the account and region of this request."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, *arguments), name=f"endpoint-{arguments[0]}", daemon=True).start()


def _deploy(name: str, config: str) -> None:
    record = store.endpoints[name]
    arn = record["EndpointArn"]
    deployment = uuid.uuid4().hex
    coming = Fleet(name, config, _folder / deployment)
    leaving = _fleets.get(arn)
    try:
        coming.start()
    except Exception as error:
        if not isinstance(error, DeploymentError):
            logger.exception("endpoint %s", name)
        # An update that fails leaves the fleet that serves in service; there is nothing to fall back to the first time.
        record.update(
            EndpointStatus="InService" if leaving else "Failed",
            FailureReason=str(error)[:_REASON],
            LastModifiedTime=store.now(),
        )
    else:
        _fleets[arn] = coming
        record.update(
            EndpointConfigName=config, Deployment=deployment, EndpointStatus="InService", LastModifiedTime=store.now()
        )
        if leaving:
            leaving.stop()
    _saved()


def _remove(name: str) -> None:
    record = store.endpoints[name]
    serving = _fleets.pop(record["EndpointArn"], None)
    if serving:
        serving.stop()
    store.endpoints.pop(name)
    store.forget_tags(record["EndpointArn"])
    _saved()
