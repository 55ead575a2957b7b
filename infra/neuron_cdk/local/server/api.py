"""AWS's JSON protocol: requests checked against botocore's service models, answers and errors as AWS words them.

The models say what a client may send: required members, types, lengths, ranges, patterns, enumerations. botocore's
client checks the first few of those before it sends, the service all of them; here the service's part is done from
the same model.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

logger = logging.getLogger("neuron_cdk.local")

Operation = Callable[[dict[str, Any]], dict[str, Any]]
Response = tuple[int, dict[str, str], bytes]


class ServiceError(Exception):
    """What the service answers instead: ``code`` is the Code that boto3 shows, ``members`` the rest of the error."""

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


@cache
def model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def call(service: str, operations: Mapping[str, Operation], name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Check ``request`` and run the operation. Raises ``ServiceError``."""
    known = model(service)
    if name not in known.operation_names:
        raise ServiceError("UnknownOperationException", "")
    if name not in operations:
        raise ServiceError("UnknownOperationException", f"{name} is not part of the embedded AWS", 501)
    check(known.operation_model(name), request)
    return operations[name](request)


def handler(service: str, operations: Mapping[str, Operation]) -> Callable[..., Any]:
    """A ministack service handler for ``operations``."""

    async def handle_request(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
    ) -> Response:
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            return respond(call(service, operations, name, json.loads(body or b"{}")))
        except json.JSONDecodeError:
            return fail(ServiceError("SerializationException", "the request is not JSON"))
        except ServiceError as error:
            return fail(error)

    return handle_request


def respond(answer: dict[str, Any]) -> Response:
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


def fail(error: ServiceError) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"__type": error.code, "message": error.message}).encode()


def check(operation: OperationModel, request: dict[str, Any]) -> None:
    """Raise ``ValidationException``, worded as AWS does, for everything in ``request`` that the model does not allow.

    A member the model does not have is refused too: on AWS the client, CloudFormation and Step Functions refuse it
    before the service sees it.
    """
    if operation.input_shape is None:
        return
    problems = list(_problems(operation.input_shape, request, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise ServiceError("ValidationException", f"{count}: {'; '.join(problems)}")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    expected = _TYPES.get(shape.type_name)
    numeric = expected in (int, (int, float))
    if expected and (not isinstance(value, expected) or (numeric and isinstance(value, bool))):
        yield _failure(value, path, f"Member must be of type {shape.type_name}")
        return
    if shape.type_name == "structure":
        yield from _structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _range(shape, len(value), value, path, "length")
        for position, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{position}.member")
    elif shape.type_name == "map":
        yield from _range(shape, len(value), value, path, "length")
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.member")
    elif shape.type_name == "string":
        yield from _string(shape, value, path)
    elif numeric:
        yield from _range(shape, value, value, path, "value")


def _structure(shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _failure(None, _member(path, name), "Member must not be null")
    for name, item in value.items():
        if name not in shape.members:
            yield f"Unknown member '{_member(path, name)}', allowed: [{', '.join(shape.members)}]"
        elif item is not None:
            yield from _problems(shape.members[name], item, _member(path, name))


def _string(shape: Shape, value: str, path: str) -> Iterator[str]:
    enumeration = shape.metadata.get("enum")
    if enumeration and value not in enumeration:
        yield _failure(value, path, f"Member must satisfy enum value set: [{', '.join(enumeration)}]")
    yield from _range(shape, len(value), value, path, "length")
    pattern = _pattern(shape.metadata.get("pattern"))
    if pattern and not pattern.fullmatch(value):
        yield _failure(value, path, f"Member must satisfy regular expression pattern: {pattern.pattern}")


@cache
def _pattern(text: str | None) -> re.Pattern[str] | None:
    """A pattern of the model; a handful use classes that only Java's engine has, and those are not checked."""
    try:
        return re.compile(text, re.DOTALL) if text else None
    except re.error:
        return None


def _range(shape: Shape, size: float, value: Any, path: str, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    kind = "Member must have length" if what == "length" else "Member must have value"
    if least is not None and size < least:
        yield _failure(value, path, f"{kind} greater than or equal to {least}")
    if most is not None and size > most:
        yield _failure(value, path, f"{kind} less than or equal to {most}")


def _failure(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{str(value)[:256]}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _member(path: str, name: str) -> str:
    """AWS names members in lower camel case: processingResources.clusterConfig.instanceType."""
    return f"{path}.{name[0].lower()}{name[1:]}" if path else f"{name[0].lower()}{name[1:]}"
