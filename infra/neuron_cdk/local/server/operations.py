"""CloudFormation operations that a dying server cannot lose.

The state is saved at the end of each, before anybody can see that end, and what was under way is settled at the next
start.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, handlers, stacks

from . import patching, state
from .sagemaker import store

logger = logging.getLogger("neuron_cdk.local")

_add_event = patching.original(stacks, "_add_event")
_deploy = patching.original(stacks, "_deploy_stack_async")
_delete = patching.original(stacks, "_delete_stack_async")
_roll_back = patching.original(stacks, "_roll_back_operation")
_stacks = patching.original(cloudformation, "_stacks")
_REASON = "the embedded AWS ended during the operation"


def install() -> None:
    patching.replace(stacks, "_add_event", _add_event_and_save)
    for module in (handlers, changesets):
        patching.replace(module, "_deploy_stack_async", _deploy_noted)


def _add_event_and_save(
    stack_id: str, stack_name: str, logical_id: str, kind: str, status: str, *rest: Any, **more: Any
) -> None:
    _add_event(stack_id, stack_name, logical_id, kind, status, *rest, **more)
    # The stack's own last event, on the event loop, its status set: no request is answered before the state is on disk.
    if logical_id == stack_name and kind == "AWS::CloudFormation::Stack" and not status.endswith("_IN_PROGRESS"):
        _stacks.get(stack_name, {}).pop("_under_way", None)
        state.save()


def _deploy_noted(
    stack_name: str,
    stack_id: str,
    template: dict[str, Any],
    parameters: dict[str, Any],
    disable_rollback: bool,
    tags: list[Any],
    **more: Any,
) -> Coroutine[Any, Any, None]:
    """Leave on the stack's record what taking the operation back needs; ministack has it in local variables only."""
    _stacks[stack_name]["_under_way"] = {
        "is_update": more.get("is_update", False),
        "previous_stack": more.get("previous_stack"),
        "template": template,
        "param_values": parameters,
    }
    deploying: Coroutine[Any, Any, None] = _deploy(
        stack_name, stack_id, template, parameters, disable_rollback, tags, **more
    )
    return deploying


async def recover() -> None:
    """Take back the creates and updates that the last server's death interrupted, and finish the deletes."""
    for (account, region, name), stack in _stacks.all_items():
        status, stack_id = stack["StackStatus"], stack["StackId"]
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            continue
        store.speak_for(account, region)
        logger.warning("stack %s was %s when the embedded AWS ended", name, status)
        if status == "DELETE_IN_PROGRESS":
            await _delete(name, stack_id)
        else:
            under_way = stack.get("_under_way", {}) | {"created": list(stack.get("_resources", {}))}
            await _roll_back(name, stack_id, stack, under_way, _REASON)
