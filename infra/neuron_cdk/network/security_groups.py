"""Security groups of things that call AWS and are called by nobody."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from ..resource import resource
from .shape import Vpc


def client_security_group(scope: Construct, construct_id: str, *, vpc: Vpc, description: str) -> ec2.CfnSecurityGroup:
    """A group that lets TLS out and nothing in."""
    return resource(
        ec2.CfnSecurityGroup,
        scope,
        construct_id,
        vpc_id=vpc.vpc_id,
        group_description=description,
        security_group_egress=[
            {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIp": "0.0.0.0/0", "description": "TLS to AWS"}
        ],
    )
