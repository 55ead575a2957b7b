"""What EFA needs from the network: a security group open to itself, and the interfaces of a launch template."""

from __future__ import annotations

from typing import Literal

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from ..catalog import instances
from .security_groups import client_security_group
from .shape import Vpc


class EfaSecurityGroup(Construct):
    """All traffic among its members, TLS to anywhere, nothing in from outside.

    EFA's traffic is not IP: it passes only where a rule for all protocols names the group itself as source *and* as
    destination. The L2 group that allows all outbound leaves the second rule out (aws/aws-cdk#38558), so the group and
    its rules are L1s, the rules resources of their own because a group cannot name itself.
    """

    def __init__(self, scope: Construct, construct_id: str, *, vpc: Vpc) -> None:
        super().__init__(scope, construct_id)
        group = client_security_group(self, "Group", vpc=vpc, description="EFA: members talk to each other freely")
        self.security_group_id = group.attr_group_id
        ec2.CfnSecurityGroupIngress(
            self,
            "FromSelf",
            group_id=group.attr_group_id,
            ip_protocol="-1",
            source_security_group_id=group.attr_group_id,
            description="EFA from members",
        )
        ec2.CfnSecurityGroupEgress(
            self,
            "ToSelf",
            group_id=group.attr_group_id,
            ip_protocol="-1",
            destination_security_group_id=group.attr_group_id,
            description="EFA to members",
        )


def network_interfaces(
    instance_type: str, *, layout: Literal["efa", "efa-only", "none"], security_group_id: str
) -> list[dict[str, object]]:
    """The ``NetworkInterfaces`` of a launch template for one instance type.

    Cards, device indexes and kinds come from the catalogue, in one of AWS's two documented layouts; with ``none`` a
    single ordinary interface. No interface asks for a public address (EC2 refuses that as soon as there are several) or
    names a subnet (the Auto Scaling group does, for all of them).

    :raises ValueError: when the type has no EFA and a layout asks for it.
    """
    instance = instances.get(instance_type)
    kinds = (
        [instances.NetworkInterface(network_card_index=0, device_index=0, kind="interface")]
        if layout == "none"
        else instances.interfaces(instance, layout)
    )
    return [
        {
            "networkCardIndex": interface.network_card_index,
            "deviceIndex": interface.device_index,
            "interfaceType": interface.kind,
            "groups": [security_group_id],
            "deleteOnTermination": True,
            "associatePublicIpAddress": False,
        }
        for interface in kinds
    ]
