"""The VPC: private subnets by zone id, endpoints for every AWS service the platform calls, flow logs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Literal

from aws_cdk import Aws, RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from ..roles import Allow, service_role

INTERFACE_ENDPOINTS = (
    "autoscaling",
    "ecr.api",
    "ecr.dkr",
    "kms",
    "logs",
    "monitoring",
    "sagemaker.runtime",
    "ssm",
    "ssmmessages",
    "sts",
)
"""What instances, compile jobs and callers of endpoints reach from a private subnet."""


@dataclass(frozen=True)
class PrivateSubnet:
    """A subnet and the zone it is in."""

    subnet_id: str
    availability_zone: str


class NeuronNetwork(Construct):
    """A VPC whose subnets name their availability zone by id.

    Accelerator capacity is a property of a zone id (``use1-az5``); zone names map to ids differently in every account,
    so subnets carry ``AvailabilityZoneId`` and nothing is looked up. ``ec2.Vpc`` cannot say that, hence the L1s here.
    A zone given by name (``us-east-1a``) is taken at its word.

    One private subnet a zone takes most of the range: an EFA node of trn1n or trn2 uses sixteen addresses.

    :param zones: zone ids or names, one private subnet each.
    :param egress: ``nat`` gives a NAT gateway in every zone; with ``endpoints-only`` there is no way out but to AWS.
    """

    vpc_id: str
    private_subnets: tuple[PrivateSubnet, ...]
    """In the order of ``zones``, and called what ``zones`` calls them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cidr: str,
        zones: Sequence[str],
        egress: Literal["nat", "endpoints-only"],
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        private_ranges, public_ranges = subnet_ranges(cidr, len(zones))
        vpc = ec2.CfnVPC(self, "Vpc", cidr_block=cidr, enable_dns_hostnames=True, enable_dns_support=True)
        Tags.of(self).add("Name", self.node.path)
        self.vpc_id = vpc.ref
        self._cidr = cidr

        private: list[tuple[str, str]] = []
        for index, zone in enumerate(zones):
            private.append(self._subnet(f"Private{index + 1}", zone, private_ranges[index]))
        if egress == "nat":
            self._nat(zones, public_ranges, [route_table for _, route_table in private])
        self._gateway_endpoints([route_table for _, route_table in private])
        self._interface_endpoints([subnet for subnet, _ in private], cidr)
        self._flow_log(key)

        self._route_tables = [route_table for _, route_table in private]
        self.private_subnets = tuple(
            PrivateSubnet(subnet, zone) for (subnet, _), zone in zip(private, zones, strict=True)
        )

    @cached_property
    def vpc(self) -> ec2.IVpc:
        """For what takes nothing less than the CDK's own interface."""
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Imported",
            vpc_id=self.vpc_id,
            vpc_cidr_block=self._cidr,
            availability_zones=[subnet.availability_zone for subnet in self.private_subnets],
            private_subnet_ids=[subnet.subnet_id for subnet in self.private_subnets],
            private_subnet_route_table_ids=self._route_tables,
        )

    def _subnet(self, construct_id: str, zone: str, cidr: str) -> tuple[str, str]:
        by_id = re.fullmatch(r"[a-z0-9]+-az\d+", zone) is not None
        subnet = ec2.CfnSubnet(
            self,
            f"{construct_id}Subnet",
            vpc_id=self.vpc_id,
            availability_zone_id=zone if by_id else None,
            availability_zone=None if by_id else zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
        )
        route_table = ec2.CfnRouteTable(self, f"{construct_id}RouteTable", vpc_id=self.vpc_id)
        ec2.CfnSubnetRouteTableAssociation(
            self, f"{construct_id}Association", subnet_id=subnet.ref, route_table_id=route_table.ref
        )
        return subnet.ref, route_table.ref

    def _nat(self, zones: Sequence[str], ranges: Sequence[str], private_route_tables: Sequence[str]) -> None:
        gateway = ec2.CfnInternetGateway(self, "InternetGateway")
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "InternetGatewayAttachment", vpc_id=self.vpc_id, internet_gateway_id=gateway.ref
        )
        for index, zone in enumerate(zones):
            subnet, route_table = self._subnet(f"Public{index + 1}", zone, ranges[index])
            way_out = ec2.CfnRoute(
                self,
                f"Public{index + 1}Route",
                route_table_id=route_table,
                destination_cidr_block="0.0.0.0/0",
                gateway_id=gateway.ref,
            )
            way_out.add_resource_dependency(attachment)
            address = ec2.CfnEIP(self, f"NatAddress{index + 1}", domain="vpc")
            address.add_resource_dependency(attachment)
            nat = ec2.CfnNatGateway(self, f"Nat{index + 1}", subnet_id=subnet, allocation_id=address.attr_allocation_id)
            ec2.CfnRoute(
                self,
                f"Private{index + 1}Route",
                route_table_id=private_route_tables[index],
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=nat.ref,
            )

    def _gateway_endpoints(self, route_tables: Sequence[str]) -> None:
        for construct_id, service in (("S3Endpoint", "s3"), ("DynamoDbEndpoint", "dynamodb")):
            ec2.CfnVPCEndpoint(
                self,
                construct_id,
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{Stack.of(self).region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=list(route_tables),
            )

    def _interface_endpoints(self, subnets: Sequence[str], cidr: str) -> None:
        group = ec2.CfnSecurityGroup(
            self,
            "EndpointsSecurityGroup",
            vpc_id=self.vpc_id,
            group_description="TLS from inside the VPC to the interface endpoints",
            security_group_ingress=[
                {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIp": cidr, "description": "TLS from the VPC"}
            ],
            # Endpoints open no connections; without a rule of its own EC2 would add "everything, anywhere".
            security_group_egress=[
                {
                    "ipProtocol": "icmp",
                    "fromPort": 252,
                    "toPort": 86,
                    "cidrIp": "255.255.255.255/32",
                    "description": "Nothing",
                }
            ],
        )
        for service in INTERFACE_ENDPOINTS:
            ec2.CfnVPCEndpoint(
                self,
                "".join(part.capitalize() for part in service.replace(".", "-").split("-")) + "Endpoint",
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{Stack.of(self).region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(subnets),
                security_group_ids=[group.attr_group_id],
                policy_document=_this_account_only(),
            )

    def _flow_log(self, key: kms.IKey) -> None:
        log_group = logs.LogGroup(
            self,
            "FlowLogGroup",
            encryption_key=key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = service_role(
            self,
            "FlowLogRole",
            service="vpc-flow-logs.amazonaws.com",
            this_account_only=True,
            allow=[
                Allow(
                    ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], [log_group.log_group_arn]
                )
            ],
        )
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=log_group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        )


def subnet_ranges(cidr: str, zones: int) -> tuple[list[str], list[str]]:
    """Split a VPC's range: equal private ranges, the largest that fit, and a small public one a zone.

    For up to six zones, which is what the largest region has.

    >>> subnet_ranges("10.0.0.0/16", 2)
    (['10.0.0.0/18', '10.0.64.0/18'], ['10.0.192.0/24', '10.0.193.0/24'])

    :raises ValueError: when the range leaves a private subnet fewer than 64 addresses.
    """
    network = ipaddress.IPv4Network(cidr)
    bits = zones.bit_length()  # room for the private subnets and at least one more block, for the public ones
    if network.prefixlen + bits > 26:
        raise ValueError(f"{cidr} is too small for {zones} zones: give at least a /{26 - bits}")
    blocks = list(network.subnets(prefixlen_diff=bits))
    length = min(28, max(24, blocks[0].prefixlen + bits))  # EC2's smallest subnet is a /28
    public = chain.from_iterable(block.subnets(new_prefix=length) for block in reversed(blocks[zones:]))
    return [str(block) for block in blocks[:zones]], [str(block) for block in islice(public, zones)]


def _this_account_only() -> dict[str, object]:
    """An endpoint answers principals of this account only: nobody's keys carry data out through it."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalAccount": Aws.ACCOUNT_ID}},
            }
        ],
    }
