"""What the cases ask of a file and of AWS, in few words, and what a case is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from neuron_cdk.doctor.aws import Reservation, Subnet, Vpc

SOON = datetime.now(UTC) + timedelta(hours=20)
LATER = datetime.now(UTC) + timedelta(days=30)
BLOCK = "cr-0123456789abcdef0"
RESERVED = "cr-0123456789abcdef1"
CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012"
TOKEN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf"
HUB = {"huggingface": "org/minilm", "revision": "a" * 40}
AMI = "ami-0123456789abcdef0"
VPC = "vpc-0123456789abcdef0"
SUBNETS = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
A_VPC = {VPC: Vpc(dns_support=True, dns_hostnames=True)}
ITS_SUBNETS = {SUBNETS[0]: Subnet(VPC, "use1-az4", 200), SUBNETS[1]: Subnet(VPC, "use1-az5", 200)}


def fleet(name: str = "train", **more: Any) -> dict[str, Any]:
    base = {"purpose": "training", "instance_types": ["trn1.32xlarge"], "size": {"min": 0, "max": 4}}
    return {"fleets": {name: base | {"zone": "use1-az5"} | more}}


def serving(**more: Any) -> dict[str, Any]:
    base = {"purpose": "inference", "instance_types": ["inf2.xlarge"], "size": {"min": 1, "max": 8}}
    return {"fleets": {"serve": base | more}}


def network(zones: Any) -> dict[str, Any]:
    return {"network": {"cidr": "10.40.0.0/16", "availability_zones": zones, "egress": "nat"}}


def existing(**more: Any) -> dict[str, Any]:
    base = {"vpc_id": VPC, "subnet_ids": list(SUBNETS), "availability_zones": ["use1-az4", "use1-az5"]}
    return {"network": base | {"egress": "nat"} | more}


def model(source: str = "s3://models/m/", target: str = "inf2", **more: Any) -> dict[str, Any]:
    return {
        "models": {
            "m": {
                "source": {**({} if "huggingface" in more else {"s3": source}), **more},
                "task": "feature-extraction",
                "compile": {"engine": "torch-neuronx", "target": target},
            }
        }
    }


def serving_by(**more: Any) -> dict[str, Any]:
    """An endpoint."""
    base = {"model": "m", "instance_types": ["ml.inf2.xlarge"], "size": {"min": 1, "max": 1}}
    return model() | {"endpoints": {"e": base | more}}


def capacity(*kinds: Any) -> dict[str, Any]:
    return {"capacity": [{"kind": kind} if isinstance(kind, str) else kind for kind in kinds]}


def reserved(kind: str = "reservation", id_: str = RESERVED) -> dict[str, str]:
    return {"kind": kind, "reservation": id_}


def reservation(**more: Any) -> Reservation:
    base: dict[str, Any] = {
        "state": "active",
        "instance_type": "trn1.32xlarge",
        "platform": "Linux/UNIX",
        "zone": "use1-az5",
        "count": 4,
        "block": False,
    }
    return Reservation(**base | more)


SCALED = {"metric": "concurrent-requests", "target": 4}


class Case(NamedTuple):
    """What is asked, what AWS says, and the finding."""

    file: dict[str, Any]
    aws: dict[str, Any]
    code: str
    pointer: str
    says: str


RESERVING = fleet(**capacity(reserved(), "on-demand"))
BLOCKED = fleet(**capacity(reserved("capacity-block", BLOCK), "on-demand"))
