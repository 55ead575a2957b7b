"""Stacks of the embedded AWS: operated until they end, and why a resource failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Clients = Callable[[str], Any]


@pytest.fixture(scope="session")
def operate_on(eventually: Callable[..., Any]) -> Callable[..., str]:
    """Create, update or delete a stack and say how that ended."""

    def operate(client: Clients, operation: str, name: str, resources: dict[str, Any] | None = None) -> str:
        cloudformation = client("cloudformation")
        template = {"TemplateBody": json.dumps({"Resources": resources})} if resources else {}
        if operation == "create":
            identifier = cloudformation.create_stack(StackName=name, **template)["StackId"]
        else:
            identifier = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
            getattr(cloudformation, f"{operation}_stack")(StackName=name, **template)

        def ended() -> str | None:
            status: str = cloudformation.describe_stacks(StackName=identifier)["Stacks"][0]["StackStatus"]
            return None if status.endswith("_IN_PROGRESS") else status

        return str(eventually(ended))

    return operate


@pytest.fixture
def operate(client: Clients, operate_on: Callable[..., str]) -> Callable[..., str]:
    """The same in the shared embedded AWS."""
    return lambda *arguments: operate_on(client, *arguments)


@pytest.fixture
def reason(client: Clients) -> Callable[[str, str], str]:
    """Why a resource failed last, by the stack's events."""

    def find(stack: str, logical_id: str) -> str:
        events = client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        return next(
            str(event["ResourceStatusReason"])
            for event in events
            if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith("_FAILED")
        )

    return find
