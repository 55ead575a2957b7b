"""What the constructs ask of a VPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Subnet(Protocol):
    """One subnet; its zone by id or by name, as the VPC calls it."""

    @property
    def subnet_id(self) -> str: ...

    @property
    def availability_zone(self) -> str: ...


class Vpc(Protocol):
    """Any ``ec2.IVpc`` will do. ``NeuronNetwork`` has just this: making an ``IVpc`` of it costs a tenth of a second at
    synth; ``NeuronNetwork.vpc`` is for those who need one.
    """

    @property
    def vpc_id(self) -> str: ...

    @property
    def private_subnets(self) -> Sequence[Subnet]: ...
