"""CloudWatch's three protocols, by botocore's model: CBOR, which boto3 speaks, JSON, and the query protocol.

What is sent is read by botocore's own reader; for what is answered botocore has no writer.
"""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import Shape
from botocore.parsers import ResponseParserError, RpcV2CBORParser

from .. import api
from ..api import Operation, Response, ServiceError
from ..autoscaling import protocol as query_protocol

logger = logging.getLogger("neuron_cdk.local")

_UNSIGNED, _NEGATIVE, _TEXT, _LIST, _MAP, _TAG = 0, 1, 3, 4, 5, 6
_FALSE, _TRUE, _DOUBLE = b"\xf4", b"\xf5", b"\xfb"
_EPOCH = 1


def handler(service: str, operations: Mapping[str, Operation]) -> Callable[..., Any]:
    """A ministack service handler for ``operations``."""
    by_query = query_protocol.handler(service, operations)

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        cbor = "cbor" in headers.get("smithy-protocol", "") or "cbor" in headers.get("content-type", "")
        target = headers.get("x-amz-target", "")
        if not cbor and not target:
            answered: Response = await by_query(method, path, headers, body, query)
            return answered
        name = path.rpartition("/")[2] if cbor else target.rpartition(".")[2]
        try:
            request = _read(body) if cbor else json.loads(body or b"{}")
            answer = query_protocol.call(service, operations, name, request)
            return _respond(api.model(service).operation_model(name).output_shape, answer, cbor=cbor)
        except (ResponseParserError, json.JSONDecodeError):
            return _fail(ServiceError("SerializationException", "the request cannot be read"), cbor=cbor)
        except ServiceError as error:
            return _fail(error, cbor=cbor)
        except Exception:
            logger.exception("%s %s failed", service, name)
            reason = f"{name} failed: the server's log says why"
            return _fail(ServiceError("InternalServiceFault", reason, 500), cbor=cbor)

    return handle_request


def _read(body: bytes) -> dict[str, Any]:
    reader = RpcV2CBORParser(timestamp_parser=float)
    request: dict[str, Any] = reader.parse_data_item(reader.get_peekable_stream_from_bytes(body)) if body else {}
    return request


def _respond(shape: Shape | None, answer: dict[str, Any], *, cbor: bool) -> Response:
    known = _known(shape, answer) if shape else {}
    if not cbor:
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(known).encode()
    body = _written(shape, known) if shape else _head(_MAP, 0)
    return 200, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, body


def _fail(error: ServiceError, *, cbor: bool) -> Response:
    said = {"__type": error.code, "message": error.message}
    headers = {"x-amzn-query-error": f"{error.code};{'Sender' if error.status < 500 else 'Receiver'}"}
    if not cbor:
        headers |= {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": error.code}
        return error.status, headers, json.dumps(said).encode()
    headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    return error.status, headers, _head(_MAP, 2) + b"".join(_text(word) for pair in said.items() for word in pair)


def _known(shape: Shape, value: Any) -> Any:
    """The members that the model knows and that are there: what a record keeps beside them is nobody's business."""
    if shape.type_name == "structure":
        return {
            name: _known(member, value[name]) for name, member in shape.members.items() if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [_known(shape.member, item) for item in value]
    return value


def _written(shape: Shape, value: Any) -> bytes:
    """One item of CBOR (RFC 8949)."""
    kind = shape.type_name
    if kind == "structure":
        members = (_text(name) + _written(shape.members[name], item) for name, item in value.items())
        return _head(_MAP, len(value)) + b"".join(members)
    if kind == "map":
        pairs = (_text(name) + _written(shape.value, item) for name, item in value.items())
        return _head(_MAP, len(value)) + b"".join(pairs)
    if kind == "list":
        return _head(_LIST, len(value)) + b"".join(_written(shape.member, item) for item in value)
    if kind == "boolean":
        return _TRUE if value else _FALSE
    if kind in ("integer", "long"):
        return _head(_UNSIGNED, int(value)) if value >= 0 else _head(_NEGATIVE, -1 - int(value))
    if kind == "timestamp":
        return _head(_TAG, _EPOCH) + _DOUBLE + struct.pack(">d", value)
    if kind in ("double", "float"):
        return _DOUBLE + struct.pack(">d", value)
    return _text(str(value))


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _head(_TEXT, len(encoded)) + encoded


def _head(major: int, number: int) -> bytes:
    """The first byte, with the number in it or after it."""
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise ValueError(f"{number} is more than CBOR holds")
