"""SageMaker Runtime: InvokeEndpoint and InvokeEndpointAsync, told from SageMaker's own API by their paths.

All three are signed for ``sagemaker``.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from ministack.core.concurrency import run_reentrant

from ..api import Response, ServiceError
from . import endpoints

NAME = "sagemaker-runtime"
_INVOCATION = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations)")


def is_mine(path: str, headers: dict[str, str]) -> bool:
    """Whether a request is for this API and not for a bucket named ``endpoints``."""
    return bool(_INVOCATION.fullmatch(path)) and "/sagemaker/aws4_request" in headers.get("authorization", "")


async def handle_request(
    _method: str, path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
) -> Response:
    invocation = _INVOCATION.fullmatch(path)
    assert invocation is not None
    run = endpoints.invoke if invocation[2] == "invocations" else endpoints.invoke_async
    try:
        # Its own thread: the container may be slow, and everything else goes on meanwhile.
        called: Response = await run_reentrant(run, unquote(invocation[1]), headers, body)
        return called
    except ServiceError as error:
        content = {"Message": error.message, **error.members}
        answer = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
        return error.status, answer, json.dumps(content).encode()
