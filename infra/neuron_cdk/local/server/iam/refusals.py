"""A refusal in the protocol it was asked in: the code, the status and the place of the sentence that boto3 shows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from xml.sax.saxutils import escape

Response = tuple[int, dict[str, str], bytes]


def response(service: str, method: str, headers: Mapping[str, str], message: str) -> Response:
    """The answer of ``service``, the name that requests are signed for."""
    if service == "s3":
        return _s3(method, message)
    if service == "ec2":
        return _xml(
            f"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>{escape(message)}</Message></Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
        )
    if "cbor" in headers.get("smithy-protocol", ""):
        return 403, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, _cbor(message)
    if "x-amz-target" in headers:
        content = {"__type": "AccessDeniedException", "message": message, "Message": message}
        # JSON services answer 400; a Smithy client reads the type from the body.
        told = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": "AccessDeniedException"}
        return 400, told, json.dumps(content).encode()
    if service in ("sagemaker", "lambda", "secretsmanager"):
        told = {"Content-Type": "application/json", "x-amzn-errortype": "AccessDeniedException"}
        return 403, told, json.dumps({"Message": message, "message": message}).encode()
    return _xml(
        f"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )


def _s3(method: str, message: str) -> Response:
    content = (
        b""
        if method == "HEAD"
        else (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>AccessDenied</Code><Message>{escape(message)}</Message><RequestId>{uuid.uuid4()}</RequestId></Error>"
        ).encode()
    )
    return 403, {"Content-Type": "application/xml"}, content


def _xml(content: str) -> Response:
    return 403, {"Content-Type": "text/xml"}, content.encode()


def _cbor(message: str) -> bytes:
    """A map of two texts."""
    return b"\xa2" + b"".join(_text(one) for one in ("__type", "AccessDeniedException", "message", message))


def _text(value: str) -> bytes:
    content = value.encode()
    size = len(content)
    head = bytes([0x60 | size]) if size < 24 else b"\x78" + bytes([size]) if size < 256 else b"\x79" + size.to_bytes(2)
    return head + content
