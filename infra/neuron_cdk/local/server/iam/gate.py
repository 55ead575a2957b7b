"""In front of ministack's services: every request that is signed by a role is checked before anybody answers it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.parsers import RpcV2CBORParser
from ministack import app
from ministack.core import router

from .. import patching
from ..autoscaling import protocol
from . import operations, refusals, s3, sessions, survey, switch
from .authorization import RefusedError, authorize, refuse
from .calls import Call, UnknownOperationError

_shortcuts = patching.original(app, "_handle_post_body_shortcuts")
_access_key = patching.original(router, "extract_access_key_id")

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_PREFIXES = {"monitoring": "cloudwatch", "email": "ses"}
"""Services whose actions have another prefix than what requests are signed for."""
_RUNTIME = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations)")
_FUNCTION = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


def install() -> None:
    patching.replace(app, "_handle_post_body_shortcuts", _guarded)
    survey.install()


async def _guarded(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
) -> Any:
    refusal = check(method, path, headers, body, query) if switch.on() else None
    return refusal or await _shortcuts(method, path, headers, body, query, request_id)


def check(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> refusals.Response | None:
    """The refusal of a request, or None when it may go on."""
    caller = sessions.caller_of(_access_key(headers, query) or "")
    if caller is None:
        return None
    scope = _SCOPE.search(headers.get("authorization", ""))
    service = scope[1] if scope else "s3"  # a presigned address
    region, account = sessions.place()
    try:
        try:
            if service == "s3":
                wanted = s3.checks(method, path, headers, body, query, region=region, account=account)
            else:
                wanted = operations.checks(_call(service, path, headers, body, query, region, account))
        except UnknownOperationError as error:
            refuse(caller, str(error))
        else:
            authorize(caller, wanted)
    except RefusedError as error:
        return refusals.response(service, method, headers, str(error))
    return None


def _call(
    service: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, Any],
    region: str,
    account: str,
) -> Call:
    """The call that a request makes. Raises ``UnknownOperationError``."""
    operation, request = _read(service, path, headers, body, query)
    return Call(_PREFIXES.get(service, service), operation, request, region, account)


def _read(
    service: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    if "x-amz-target" in headers:
        return headers["x-amz-target"].rpartition(".")[2], json.loads(body or b"{}")
    if "cbor" in headers.get("smithy-protocol", ""):
        reader = RpcV2CBORParser(timestamp_parser=float)
        request = reader.parse_data_item(reader.get_peekable_stream_from_bytes(body)) if body else {}
        return path.rpartition("/")[2], request
    if service == "sagemaker" and (found := _RUNTIME.fullmatch(path)):
        asked = {"EndpointName": unquote(found[1])}
        component = headers.get("x-amzn-sagemaker-inference-component")
        name = "InvokeEndpoint" if found[2] == "invocations" else "InvokeEndpointAsync"
        return name, asked | ({"InferenceComponentName": component} if component else {})
    if service == "lambda" and (found := _FUNCTION.fullmatch(path)):
        return "InvokeFunction", {"FunctionName": unquote(found[1])}
    if service == "autoscaling":
        return protocol.request_of(service, parse_qsl(body.decode(errors="replace")))
    form = dict(parse_qsl(body.decode(errors="replace"))) if body else {}
    form = {name: s3.first(value) for name, value in query.items()} | form
    if "Action" not in form:
        raise UnknownOperationError(
            f"the embedded AWS cannot tell what {path} of {service} is: see neuron_cdk/local/server/iam/gate.py"
        )
    return form["Action"], _members(form)


def _members(form: Mapping[str, str]) -> dict[str, Any]:
    """The members of a query protocol's request that stand at its top: texts, and lists of texts."""
    found: dict[str, Any] = {}
    for name, value in form.items():
        member, _, rest = name.partition(".")
        if not rest:
            found[member] = value
        elif re.fullmatch(r"(member\.)?\d+", rest):
            found.setdefault(member, []).append(value)
    return found
