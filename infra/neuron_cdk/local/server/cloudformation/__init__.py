"""CloudFormation resource types that ministack lacks or gets wrong.

A type that neither ministack nor this package provides stays an error before anything is created.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners, stacks

from .. import patching
from . import autoscaling, cloudwatch, ec2, encryption, events, iam, load_balancing, resource_groups, sagemaker, scaling
from .types import Created, Properties, Resource, ResourceType

_handlers = patching.original(provisioners, "_RESOURCE_HANDLERS")
_replacing = patching.original(provisioners, "_REPLACING_PROPERTIES")
_tagged = patching.original(provisioners, "_STACK_TAG_PROPERTY")
_blocks = patching.original(stacks, "_runs_on_worker_thread")

_MENDED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **encryption.MENDED,
    iam.INSTANCE_PROFILE: iam.called_by_its_name,
    events.RULE: events.checked,
    **load_balancing.MENDED,
}
"""Types that ministack has and gets wrong: what makes its handler right."""


def install() -> None:
    """Add the types to ministack's tables."""
    types: dict[str, ResourceType] = (
        ec2.TYPES | sagemaker.TYPES | scaling.TYPES | resource_groups.TYPES | autoscaling.TYPES | cloudwatch.TYPES
    )
    for name, provided in types.items():
        _handlers[name] = _handler(provided)
        _replacing[name] = provided.replaced_by
        if provided.tagged:
            _tagged[name] = ("Tags", "list")
    for name, mend in _MENDED.items():
        _handlers[name] = mend(_handlers[name])
    load_balancing.install()
    slow = {name for name, provided in types.items() if provided.slow}
    patching.replace(stacks, "_runs_on_worker_thread", lambda name: name in slow or _blocks(name))
    patching.replace(provisioners, "_ec2_subnet_zone", ec2.subnet_zone)


def _handler(provided: ResourceType) -> dict[str, Any]:
    """A type as ministack's table has it."""

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        return provided.create(Resource(properties, stack, logical_id))

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        return provided.update(Resource(new, stack, physical_id=physical_id, previous=old))

    def delete(physical_id: str, properties: Properties) -> None:
        provided.delete(Resource(properties, physical_id=physical_id))

    return {"create": create, "update": update, "delete": delete}
