"""boto3's own clients, whose calls are counted and of which one goes wrong; Step Functions and CodeBuild in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

Load = Callable[[str], ModuleType]
FAULTS = ("throttled", "killed", "called twice")


class KilledError(BaseException):
    """The function's process is gone; no handler of ours sees it."""


class Faults:
    """Counts the calls of the hooks' own clients, and does something about one of them.

    ``seen``: how many there were; the one whose number is ``at`` is ``kind``: ``throttled``, or ``killed`` after it.
    ``started``: executions by name and builds by token, each with what was started.
    """

    def __init__(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen, self.at, self.kind = 0, -1, ""
        self.started: dict[str, str] = {}
        module = load("aws")
        make = module.client

        def client(*arguments: Any) -> Any:
            made = make(*arguments)
            if not getattr(made, "_watched", False):
                made._watched = True
                if arguments[0] in _IN_MEMORY:
                    made._make_api_call = partial(_IN_MEMORY[arguments[0]], self.started)
                self._watch(made)
            return made

        monkeypatch.setattr(module, "client", client)
        monkeypatch.setattr(time, "sleep", lambda _: None)

    def count(self, at: int = -1, kind: str = "") -> None:
        """Count from 0 again."""
        self.seen, self.at, self.kind = 0, at, kind

    def _watch(self, made: Any) -> None:
        call = made._make_api_call

        def counted(operation: str, arguments: dict[str, Any]) -> Any:
            number, self.seen = self.seen, self.seen + 1
            if number == self.at and self.kind == "throttled":
                raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)
            answer = call(operation, arguments)
            if number == self.at and self.kind == "killed":
                raise KilledError
            return answer

        made._make_api_call = counted


def _start_execution(started: dict[str, str], operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A name is taken once."""
    if arguments["name"] in started:
        raise ClientError({"Error": {"Code": "ExecutionAlreadyExists", "Message": "taken"}}, operation)
    started[arguments["name"]] = arguments["stateMachineArn"]
    return {"executionArn": arguments["name"]}


def _start_build(started: dict[str, str], _operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Without a token every call starts another build."""
    started[arguments.get("idempotencyToken") or f"build-{len(started)}"] = arguments["projectName"]
    return {}


_IN_MEMORY = {"stepfunctions": _start_execution, "codebuild": _start_build}
