"""Which roles the templates made, and what they grant: looked at whenever CloudFormation changes one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import provisioners

from .. import patching
from . import accounting, sessions, switch
from .authorization import statements_of
from .conditions import UnknownPolicyElementError

_handlers = patching.original(provisioners, "_RESOURCE_HANDLERS")
_stacks = patching.original(cloudformation, "_stacks")
_KINDS = ("AWS::IAM::Role", "AWS::IAM::Policy")


def install() -> None:
    for kind in _KINDS:
        handler = _handlers[kind]
        _handlers[kind] = handler | {name: _noting(handler[name]) for name in ("create", "update") if name in handler}


def report() -> list[dict[str, Any]]:
    """``accounting.listed`` of every role that a stack made, but for those of whoever deploys."""
    look()
    return [role for role in accounting.listed() if role["stack"] and not sessions.administrates(role["role"])]


def described() -> dict[str, Any]:
    """How permissions are checked, and the report."""
    return {"mode": switch.mode(), "roles": report()}


def leave() -> None:
    """Leave the report in the folder that ``switch.REPORTS`` names, if it does: a test run reads all of them."""
    folder = switch.reports()
    if folder and switch.on():
        accounting.write(folder, f"{os.getpid()}-{time.time_ns()}", report())


def look() -> None:
    """Note every role of every stack that is there."""
    for _, stack in _stacks.all_items():
        for logical_id, resource in dict(stack.get("_resources", {})).items():
            arn = (resource.get("Attributes") or {}).get("Arn", "")
            if resource.get("ResourceType") == "AWS::IAM::Role" and arn:
                _note(arn, stack["StackName"], logical_id)


def _noting(work: Callable[..., Any]) -> Callable[..., Any]:
    def worked(*arguments: Any, **more: Any) -> Any:
        done = work(*arguments, **more)
        look()
        return done

    return worked


def _note(arn: str, stack: str, logical_id: str) -> None:
    accounting.made(arn, stack, logical_id)
    try:
        statements_of(arn)
    except UnknownPolicyElementError as error:
        accounting.refused(arn, f"{logical_id}: {error}")
