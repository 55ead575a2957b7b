"""CloudFormation's side of a custom resource: requests, the answers they get, and how an answer is delivered.

Source: CloudFormation's guide, "Custom resource request objects" and "Custom resource response objects". An answer is
at most 4,096 bytes; CloudFormation acts on the first it gets.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 4096
_ATTEMPTS = 5


class AnswerError(Exception):
    """CloudFormation did not take the answer."""


@dataclass(frozen=True)
class Request:
    """What an answer needs of a request. ``physical_id`` is empty on Create."""

    kind: str
    request_id: str
    response_url: str
    stack_id: str
    logical_id: str
    physical_id: str

    @property
    def execution_name(self) -> str:
        """The request execution; the same however often CloudFormation delivers the request."""
        return f"request-{self.request_id}"

    @property
    def resource(self) -> str:
        """The resource that asks, whatever it stands for: ``<stack ARN>|<logical id>``."""
        return f"{self.stack_id}|{self.logical_id}"

    def to_json(self) -> dict[str, str]:
        """CloudFormation's own names, as ``parse`` reads them."""
        document = {
            "RequestType": self.kind,
            "RequestId": self.request_id,
            "ResponseURL": self.response_url,
            "StackId": self.stack_id,
            "LogicalResourceId": self.logical_id,
        }
        return {**document, "PhysicalResourceId": self.physical_id} if self.physical_id else document


def parse(event: Mapping[str, Any]) -> Request:
    """Read a request, whole or as ``to_json`` gave it."""
    return Request(
        kind=event["RequestType"],
        request_id=event["RequestId"],
        response_url=event["ResponseURL"],
        stack_id=event["StackId"],
        logical_id=event["LogicalResourceId"],
        physical_id=event.get("PhysicalResourceId", ""),
    )


def success(request: Request, physical_id: str, data: Mapping[str, str]) -> bytes:
    """The body of an answer that gives the resource its attributes."""
    return _body(request, "SUCCESS", physical_id, {"Data": dict(data)})


def failure(request: Request, physical_id: str, summary: str, *, detail: str = "", link: str = "") -> bytes:
    """The body of an answer that fails the resource.

    The reason is the summary, the detail (the end of a log: shortened from the front until all fits) and the link.
    """

    def body(quoted: str) -> bytes:
        reason = "\n".join(part for part in (summary, quoted, link) if part)
        return _body(request, "FAILED", physical_id, {"Reason": reason})

    quoted = detail
    while detail and len(body(quoted)) > MOST_BYTES:
        over = len(body(quoted)) - MOST_BYTES
        detail = detail[max(1, over // 12) :]  # JSON spends at most twelve bytes on a character: never too much is cut
        quoted = f"…{detail}"
    return body(quoted)


def _body(request: Request, status: str, physical_id: str, rest: Mapping[str, Any]) -> bytes:
    # On Create the resource has no id yet: CloudFormation wants one all the same, and sends Delete for it on rollback.
    document = {
        "Status": status,
        "PhysicalResourceId": physical_id or request.physical_id or f"none-{request.request_id}",
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
        **rest,
    }
    return json.dumps(document).encode()


def deliver(request: Request, body: bytes, *, pause_seconds: float = 1.0) -> None:
    """PUT an answer to the presigned address, over TLS; what may pass is tried again for about 30 seconds.

    :raises AnswerError: when CloudFormation refuses it, cannot be reached, or the address is not ``https``.
    """
    address = urllib.parse.urlsplit(request.response_url)
    # Plain HTTP never leaves the machine: only an AWS that runs beside the caller is reached so.
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
        raise AnswerError(f"the response address is not https: {address.scheme}://{address.hostname}")
    put = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        request.response_url, data=body, method="PUT", headers={"Content-Type": ""}
    )
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(put, timeout=10):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:
            problem = str(error)
        if attempt < _ATTEMPTS:
            time.sleep(pause_seconds * 2 ** (attempt - 1))
    raise AnswerError(f"CloudFormation did not take the answer for {request.logical_id}: {problem}")
