"""The network: ranges, zones, ways out, endpoints, flow logs."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from aws_cdk.assertions import Match
from hypothesis import given
from hypothesis import strategies as st

from neuron_cdk.network.vpc import INTERFACE_ENDPOINTS, subnet_ranges


@given(prefix=st.integers(16, 28), zones=st.integers(1, 6), block=st.integers(0, 255))
def test_ranges_never_overlap_and_lie_inside_the_vpc(prefix, zones, block):
    vpc = next(IPv4Network(f"10.{block}.0.0/16").subnets(new_prefix=prefix))
    try:
        private, public = subnet_ranges(str(vpc), zones)
    except ValueError:
        return
    blocks = [IPv4Network(one) for one in [*private, *public]]
    assert len(private) == len(public) == zones
    assert all(block.subnet_of(vpc) for block in blocks)
    assert not any(one.overlaps(other) for one, other in combinations(blocks, 2))


@given(prefix=st.integers(16, 28), zones=st.integers(1, 6))
def test_a_private_range_has_64_addresses_or_is_refused(prefix, zones):
    try:
        private, _ = subnet_ranges(f"10.0.0.0/{prefix}", zones)
    except ValueError:
        assert prefix > 26 - zones.bit_length()
    else:
        assert all(IPv4Network(one).num_addresses >= 64 for one in private)


def test_the_refusal_of_a_small_range_names_one_that_is_large_enough():
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/26 is too small for 3 zones: give at least a /24"):
        subnet_ranges("10.0.0.0/26", 3)
    assert subnet_ranges("10.0.0.0/24", 3)


def test_subnets_name_their_zone_by_id_and_are_private(resources):
    subnets = resources("platform", "AWS::EC2::Subnet")
    assert {key: (subnet["AvailabilityZoneId"], subnet["CidrBlock"]) for key, subnet in subnets.items()} == {
        "NetworkPrivate1SubnetA7C71D78": ("use1-az4", "10.0.0.0/18"),
        "NetworkPrivate2Subnet6855F6FE": ("use1-az6", "10.0.64.0/18"),
        "NetworkPublic1Subnet2EC4E260": ("use1-az4", "10.0.192.0/24"),
        "NetworkPublic2Subnet54769619": ("use1-az6", "10.0.193.0/24"),
    }
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets.values())


def test_with_nat_each_private_subnet_goes_out_through_its_own_zone(resources):
    nats, subnets = resources("platform", "AWS::EC2::NatGateway"), resources("platform", "AWS::EC2::Subnet")
    tables = {
        association["RouteTableId"]["Ref"]: association["SubnetId"]["Ref"]
        for association in resources("platform", "AWS::EC2::SubnetRouteTableAssociation").values()
    }
    ways_out = [route for route in resources("platform", "AWS::EC2::Route").values() if "NatGatewayId" in route]
    assert len(ways_out) == len(nats) == 2
    for route in ways_out:
        private = subnets[tables[route["RouteTableId"]["Ref"]]]
        public = subnets[nats[route["NatGatewayId"]["Ref"]]["SubnetId"]["Ref"]]
        assert private["AvailabilityZoneId"] == public["AvailabilityZoneId"]


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::EC2::InternetGateway",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::EC2::NatGateway",
        "AWS::EC2::EIP",
        "AWS::EC2::Route",
    ],
)
def test_endpoints_only_leaves_no_way_out(template, kind):
    template("isolated").resource_count_is(kind, 0)


@pytest.mark.parametrize("name", ["platform", "isolated"])
def test_every_aws_service_the_platform_calls_has_a_private_door(resources, name):
    doors = {
        (endpoint["VpcEndpointType"], endpoint["ServiceName"])
        for endpoint in resources(name, "AWS::EC2::VPCEndpoint").values()
    }
    interfaces = {("Interface", f"com.amazonaws.us-east-1.{service}") for service in INTERFACE_ENDPOINTS}
    gateways = {("Gateway", f"com.amazonaws.us-east-1.{service}") for service in ("s3", "dynamodb")}
    assert doors == interfaces | gateways


def test_gateways_serve_every_private_route_table(resources):
    private = {key for key in resources("platform", "AWS::EC2::RouteTable") if "Private" in key}
    for endpoint in resources("platform", "AWS::EC2::VPCEndpoint").values():
        if endpoint["VpcEndpointType"] == "Gateway":
            assert {table["Ref"] for table in endpoint["RouteTableIds"]} == private


def test_interface_endpoints_answer_their_public_name_and_this_account_only(resources):
    for endpoint in resources("platform", "AWS::EC2::VPCEndpoint").values():
        if endpoint["VpcEndpointType"] == "Interface":
            assert endpoint["PrivateDnsEnabled"] is True
            (statement,) = endpoint["PolicyDocument"]["Statement"]
            assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}


def test_endpoints_take_tls_from_the_vpc_and_open_no_connection(template):
    template("platform").has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {
            "SecurityGroupIngress": [
                Match.object_like({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/16"})
            ],
            "SecurityGroupEgress": [Match.object_like({"CidrIp": "255.255.255.255/32"})],
        },
    )


def test_every_packet_is_logged_under_our_key(template):
    platform = template("platform")
    platform.has_resource_properties(
        "AWS::EC2::FlowLog",
        {
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogDestinationType": "cloud-watch-logs",
            "LogGroupName": {"Ref": Match.string_like_regexp("FlowLogGroup")},
        },
    )
    platform.has_resource_properties(
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": Match.object_like(
                {
                    "Statement": [
                        Match.object_like(
                            {
                                "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                                "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
                            }
                        )
                    ]
                }
            )
        },
    )
