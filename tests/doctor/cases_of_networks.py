"""What is wrong with a VPC and subnets that are there already."""

from __future__ import annotations

from neuron_cdk.doctor.aws import Subnet, Vpc
from tests.doctor.asked import (
    A_VPC,
    ITS_SUBNETS,
    SUBNETS,
    VPC,
    Case,
    existing,
    fleet,
)

CASES = {
    "no VPC": Case(existing(), {}, "024", "network.vpc_id", "no such VPC"),
    "a VPC without DNS": Case(
        existing(),
        {"vpcs": {VPC: Vpc(dns_support=False, dns_hostnames=True)}, "subnet": ITS_SUBNETS},
        "025",
        "network.vpc_id",
        "enableDnsSupport off",
    ),
    "a closed VPC without host names": Case(
        existing(egress="endpoints-only"),
        {"vpcs": {VPC: Vpc(dns_support=True, dns_hostnames=False)}, "subnet": ITS_SUBNETS},
        "025",
        "network.vpc_id",
        "enableDnsHostnames off",
    ),
    "no subnet": Case(
        existing(),
        {"vpcs": A_VPC, "subnet": {SUBNETS[0]: Subnet(VPC, "use1-az4", 200)}},
        "026",
        "network.subnet_ids[1]",
        f"{SUBNETS[1]} is not there",
    ),
    "a subnet of another VPC": Case(
        existing(),
        {
            "vpcs": A_VPC,
            "subnet": {SUBNETS[0]: Subnet("vpc-9", "use1-az4", 9), SUBNETS[1]: Subnet(VPC, "use1-az5", 9)},
        },
        "026",
        "network.subnet_ids[0]",
        "is in vpc-9",
    ),
    "subnets in the wrong order": Case(
        existing(),
        {
            "vpcs": A_VPC,
            "subnet": {SUBNETS[0]: Subnet(VPC, "use1-az4", 9), SUBNETS[1]: Subnet(VPC, "use1-az6", 9)},
        },
        "027",
        "network.subnet_ids[1]",
        "is in use1-az6, and the file says use1-az5",
    ),
    "a subnet that is nearly full": Case(
        existing() | fleet(efa={"layout": "efa"}),
        {
            "vpcs": A_VPC,
            "subnet": {SUBNETS[0]: Subnet(VPC, "use1-az4", 9), SUBNETS[1]: Subnet(VPC, "use1-az5", 31)},
        },
        "028",
        "network.subnet_ids[1]",
        "has 31 free addresses, and the fleets need 32 there at max",
    ),
}
