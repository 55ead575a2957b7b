"""Lambda functions of the embedded AWS."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.account import ROLE

Clients = Callable[[str], Any]


@pytest.fixture
def function(client: Clients) -> Callable[..., str]:
    """A Lambda function of this source, with a role; its name, which is new."""

    def make(source: str, role: str = ROLE, **more: Any) -> str:
        name = f"function-{uuid.uuid4().hex[:8]}"
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("main.py", source)
        client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="main.handler",
            Role=role,
            Code={"ZipFile": code.getvalue()},
            Timeout=30,
            **more,
        )
        return name

    return make


@pytest.fixture
def call(client: Clients) -> Callable[[str], dict[str, Any]]:
    """Call a function; its answer."""

    def invoke(name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(client("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read())
        return answer

    return invoke
