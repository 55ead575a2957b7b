"""AWS's query protocol, read and written by botocore's model of the service: form fields in, XML out."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.model import OperationModel, ServiceModel, Shape

from .. import api
from ..api import Operation, Response, ServiceError

logger = logging.getLogger("neuron_cdk.local")

_XML = "text/xml"


def handler(service: str, operations: Mapping[str, Operation]) -> Callable[..., Any]:
    """A ministack service handler for ``operations``."""

    async def handle_request(
        _method: str, _path: str, _headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        given = parse_qsl(body.decode(), keep_blank_values=True) or [
            (name, values[0] if isinstance(values, list) else values) for name, values in query.items()
        ]
        fields = _tree(given)
        name = str(fields.pop("Action", ""))
        fields.pop("Version", None)
        known = api.model(service)
        try:
            if name not in known.operation_names:
                raise ServiceError("InvalidAction", f"Could not find operation {name} for version {known.api_version}")
            operation = known.operation_model(name)
            request = _read(operation.input_shape, fields) if operation.input_shape else {}
            return _respond(known, operation, call(service, operations, name, request))
        except ServiceError as error:
            return _fail(known, error)
        except Exception:
            # Let through, it would be answered as JSON, which no client of this protocol can read.
            logger.exception("%s %s failed", service, name)
            return _fail(known, ServiceError("InternalFailure", f"{name} failed: the server's log says why", 500))

    return handle_request


def request_of(service: str, fields: list[tuple[str, str]]) -> tuple[str, dict[str, Any]]:
    """The operation that a form asks for and its request, as the model types it; an unknown one has the form itself."""
    tree = _tree(fields)
    name = str(tree.pop("Action", ""))
    known = api.model(service)
    shape = known.operation_model(name).input_shape if name in known.operation_names else None
    return name, _read(shape, tree) if shape else tree


def call(service: str, operations: Mapping[str, Operation], name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Check ``request`` and run the operation; its failures have the codes of the query protocol."""
    try:
        return api.call(service, operations, name, request)
    except ServiceError as error:
        if error.code == "ValidationException":
            raise ServiceError("ValidationError", error.message) from error
        raise


def _tree(fields: list[tuple[str, str]]) -> dict[str, Any]:
    """``Tags.member.1.Key=a`` as ``{"Tags": {"member": {"1": {"Key": "a"}}}}``."""
    root: dict[str, Any] = {}
    for name, value in fields:
        *path, last = name.split(".")
        place = root
        for part in path:
            below = place.setdefault(part, {})
            if not isinstance(below, dict):  # an empty list and its members at once: no client sends that
                below = place[part] = {}
            place = below
        place[last] = value
    return root


def _read(shape: Shape, value: Any) -> Any:
    """What stands in the tree as the model types it; what does not fit stays as it is, for the check that follows."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _read(shape.members[name], item) if name in shape.members else item for name, item in value.items()
        }
    if shape.type_name == "list":
        members = value.get("member", {}) if isinstance(value, dict) else {}
        return [_read(shape.member, members[position]) for position in sorted(members, key=int)]
    if not isinstance(value, str):
        return value
    try:
        if shape.type_name in ("integer", "long"):
            return int(value)
        if shape.type_name in ("float", "double"):
            return float(value)
        if shape.type_name == "timestamp":
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return value
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    return value


def _respond(known: ServiceModel, operation: OperationModel, answer: dict[str, Any]) -> Response:
    shape = operation.output_shape
    content = "".join(_members(shape, answer)) if shape else ""
    wrapper = shape.serialization.get("resultWrapper") if shape else None
    result = f"<{wrapper}>{content}</{wrapper}>" if wrapper else content
    return (
        200,
        {"Content-Type": _XML},
        f'<{operation.name}Response xmlns="{known.metadata["xmlNamespace"]}">{result}<ResponseMetadata>'
        f"<RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{operation.name}Response>".encode(),
    )


def _fail(known: ServiceModel, error: ServiceError) -> Response:
    return (
        error.status,
        {"Content-Type": _XML},
        f'<ErrorResponse xmlns="{known.metadata["xmlNamespace"]}"><Error>'
        f"<Type>{'Sender' if error.status < 500 else 'Receiver'}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>".encode(),
    )


def _members(shape: Shape, value: dict[str, Any]) -> list[str]:
    """The members that the model knows: what a record keeps beside them is nobody's business."""
    return [
        f"<{name}>{_written(member, value[name])}</{name}>"
        for name, member in shape.members.items()
        if value.get(name) is not None
    ]


def _written(shape: Shape, value: Any) -> str:
    if shape.type_name == "structure":
        return "".join(_members(shape, value))
    if shape.type_name == "list":
        return "".join(f"<member>{_written(shape.member, item)}</member>" for item in value)
    if shape.type_name == "boolean":
        return "true" if value else "false"
    if shape.type_name == "timestamp":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return escape(str(value))
