"""CloudFormation resource types that ministack lacks. A type nobody provides stays an error before anything is created."""

from __future__ import annotations

from ministack.services.cloudformation import provisioners, stacks

from .. import patching
from . import ec2, sagemaker, scaling
from .types import ResourceType

_handlers = patching.original(provisioners, "_RESOURCE_HANDLERS")
_replacing = patching.original(provisioners, "_REPLACING_PROPERTIES")
_tagged = patching.original(provisioners, "_STACK_TAG_PROPERTY")
_blocks = patching.original(stacks, "_runs_on_worker_thread")


def install() -> None:
    """Add the types to ministack's tables."""
    types: dict[str, ResourceType] = ec2.TYPES | sagemaker.TYPES | scaling.TYPES
    for name, provided in types.items():
        _handlers[name] = {"create": provided.create, "delete": provided.delete, "update": provided.update}
        _replacing[name] = provided.replaced_by
        if provided.tagged:
            _tagged[name] = ("Tags", "list")
    slow = {name for name, provided in types.items() if provided.slow}
    patching.replace(stacks, "_runs_on_worker_thread", lambda name: name in slow or _blocks(name))
    patching.replace(provisioners, "_ec2_subnet_zone", ec2.subnet_zone)
