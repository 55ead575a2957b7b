"""The catalogue's types behind the names of the file, EC2's and SageMaker's."""

from __future__ import annotations

from functools import cache

from neuron_cdk.catalog import instances
from neuron_cdk.catalog.instances import InstanceType

SAGEMAKER = "ml."
"""How SageMaker's names of instance types start."""


def instance(name: str) -> InstanceType | None:
    """The type behind an EC2 or SageMaker name; None for one that a check refuses."""
    return _types().get(name.removeprefix(SAGEMAKER))


@cache
def _types() -> dict[str, InstanceType]:
    """All types by name. ``instances.get`` looks for the nearest name when there is none: too slow to ask it often."""
    return {each.name: each for each in instances.all_types()}
