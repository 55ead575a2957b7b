"""Who waits for a stack with the CDK's command line hears of its end when it comes.

The command line looks at a stack, and looks again five seconds later while its operation goes on (aws-cdk,
``toolkit-lib/lib/util/promises.ts``: ``waitFor``); there is no option for that. Most operations here take less than
that, so its question is answered when the operation has ended. Everybody else is answered at once.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs

from ministack.services import cloudformation

from . import patching

_LOOK_SECONDS = 0.02
_MOST_SECONDS = 60.0
_handle = patching.original(cloudformation, "handle_request")
_stacks = patching.original(cloudformation, "_stacks")


def install() -> None:
    patching.replace(cloudformation, "handle_request", _handle_when_settled)


async def _handle_when_settled(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Any:
    if b"Action=DescribeStacks" in body and "aws-cdk/" in headers.get("user-agent", ""):
        (asked,) = parse_qs(body.decode()).get("StackName", [""])
        await _settled(asked)
    return await _handle(method, path, headers, body, query)


async def _settled(asked: str) -> None:
    """Wait until no operation is under way on the stack of this name or id, a minute at most."""
    until = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < until and any(
        asked in (stack["StackName"], stack["StackId"])
        and stack["StackStatus"].endswith("_IN_PROGRESS")
        and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
        for stack in list(_stacks.values())
    ):
        await asyncio.sleep(_LOOK_SECONDS)
