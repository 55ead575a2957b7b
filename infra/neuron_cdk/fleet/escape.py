"""What a fleet takes from outside instead of making it, and what it carries beside its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms


@dataclass(frozen=True)
class Existing:
    """Resources of yours, taken as they are.

    :param security_group: of the instances. With EFA it must allow all traffic from and to itself.
    :param role: of the instances; the fleet adds its own rights to it, so it must not be imported as immutable.
    :param key: for volumes, instead of the store's. Auto Scaling's service-linked role must be allowed to
        use it and to create grants (the store's key allows that).
    """

    security_group: ec2.ISecurityGroup | None = None
    role: iam.IRole | None = None
    key: kms.IKey | None = None


@dataclass(frozen=True)
class Additions:
    """What comes on top.

    :param policies: statements for the instances' role.
    :param commands: shell commands for the first boot, run after our own steps and before the instance counts as ready.
    :param block_devices: more entries of the launch template's ``BlockDeviceMappings``, as CloudFormation has them in
        lower camel case; encrypted with the fleet's key unless they say otherwise.
    """

    policies: Sequence[iam.PolicyStatement] = ()
    commands: Sequence[str] = ()
    block_devices: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if isinstance(self.commands, str):
            raise ValueError(f'commands is one text, {self.commands[:40]!r}: give a list of commands, ["…"]')
        for device in self.block_devices:
            if "deviceName" not in device:
                raise ValueError(
                    f"a block device has {', '.join(sorted(device)) or 'nothing'} and no deviceName: "
                    'write it as {"deviceName": "/dev/sdf", "ebs": {"volumeSize": 100}}'
                )
