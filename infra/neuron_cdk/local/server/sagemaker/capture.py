"""Data capture: requests and answers as JSON lines in S3, written in batches ("Capture data from real-time endpoint").

Keys are ``<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/MM-SS-mmm-<uuid>.jsonl``, by the server's clock.
"""

from __future__ import annotations

import base64
import contextvars
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from ..api import ServiceError
from ..clock import clock, iso
from . import roles, transfer
from .calls import Reply
from .fleet import Fleet

logger = logging.getLogger("neuron_cdk.local")

_PAUSE_SECONDS = 0.3
"""Real seconds that lines are gathered for; SageMaker gathers for minutes."""

_lock = threading.Lock()
_gathered: dict[tuple[str, str | None], list[str]] = {}
"""Lines by the prefix they go to and the role that writes them."""


def keep(fleet: Fleet, variant: str, headers: Mapping[str, str], body: bytes, reply: Reply) -> None:
    """Capture the request and its answer, if the configuration says so and chance does."""
    config = fleet.configuration.get("DataCaptureConfig")
    if not config or not config.get("EnableCapture", True):
        return
    if random.random() * 100 >= config["InitialSamplingPercentage"]:  # noqa: S311
        return
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    captured: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        captured["endpointInput"] = _side("INPUT", headers.get("content-type", ""), body, config)
    if modes & {"Output", "InputAndOutput"} and reply.status == 200:
        captured["endpointOutput"] = _side("OUTPUT", reply.content_type, reply.content, config)
    moment = clock.now()
    metadata: dict[str, Any] = {"eventId": str(uuid.uuid4()), "inferenceTime": iso(moment)}
    if "x-amzn-sagemaker-inference-id" in headers:
        metadata["inferenceId"] = headers["x-amzn-sagemaker-inference-id"]
    if "x-amzn-sagemaker-custom-attributes" in headers:
        metadata["customAttributes"] = [headers["x-amzn-sagemaker-custom-attributes"]]
    line = json.dumps({"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"})
    hour = time.strftime("%Y/%m/%d/%H", time.gmtime(moment))
    prefix = f"{config['DestinationS3Uri'].rstrip('/')}/{fleet.endpoint}/{variant}/{hour}"
    _gather((prefix, fleet.role), moment, line)


def _side(mode: str, content_type: str, content: bytes, config: Mapping[str, Any]) -> dict[str, Any]:
    headers = config.get("CaptureContentTypeHeader", {})
    plain = content_type.partition(";")[0].strip()
    encoding = (
        "JSON"
        if plain in headers.get("JsonContentTypes", [])
        else "CSV"
        if plain in headers.get("CsvContentTypes", [])
        else "BASE64"
    )
    data = base64.b64encode(content).decode() if encoding == "BASE64" else content.decode(errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _gather(where: tuple[str, str | None], moment: float, line: str) -> None:
    with _lock:
        first = where not in _gathered
        _gathered.setdefault(where, []).append(line)
    if first:
        timer = threading.Timer(_PAUSE_SECONDS, contextvars.copy_context().run, (_write, where, moment))
        timer.daemon = True
        timer.start()


def _write(where: tuple[str, str | None], moment: float) -> None:
    prefix, role = where
    with _lock:
        lines = _gathered.pop(where)
    name = time.strftime("%M-%S", time.gmtime(moment)) + f"-{int(moment * 1000) % 1000:03d}-{uuid.uuid4()}.jsonl"
    try:
        with roles.acting(role):
            transfer.put(f"{prefix}/{name}", "".join(f"{line}\n" for line in lines).encode())
    except (ServiceError, transfer.TransferError) as error:
        logger.warning("captured data is lost: %s", error)
