"""What each check finds, by a table: what the file asks, what AWS says, and the finding's code, place and words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from neuron_cdk.doctor import Report
from neuron_cdk.doctor.aws import Image, Reservation, Subnet, Vpc, Zone
from neuron_cdk.doctor.codes import CODES
from neuron_cdk.spec import CODES as CODES_OF_FILES

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

CASES = {
    "another account": Case(
        {}, {"account_id": "999988887777"}, "002", "environment.account", "the credentials are of account 999988887777"
    ),
    "a region that is off": Case({}, {"region": "not-opted-in"}, "003", "environment.region", "not enabled"),
    "a region that is not there": Case({}, {"region": None}, "003", "environment.region", "knows no region us-east-1"),
    "no bootstrap": Case({}, {"stacks": {}}, "033", "environment", "CDKToolkit is not there"),
    "a broken bootstrap": Case(
        {}, {"stacks": {"CDKToolkit": "ROLLBACK_COMPLETE"}}, "033", "environment", "CDKToolkit is ROLLBACK_COMPLETE"
    ),
    "a bootstrap without a version": Case({}, {"named": {}}, "033", "environment", "left no version"),
    "an old bootstrap": Case({}, {"named": {"/cdk-bootstrap/hnb659fds/version": "5"}}, "034", "environment", "too old"),
    "a zone of others": Case(
        network(["use1-az1", "use1-az6"]),
        {"has": (Zone("use1-az1", "us-east-1a"),)},
        "008",
        "network.availability_zones[1]",
        "has no zone use1-az6",
    ),
    "a zone name of others": Case(
        network(["us-east-1a", "us-east-1z"]),
        {},
        "008",
        "network.availability_zones[1]",
        "has no zone us-east-1z",
    ),
    "a zone without opt-in": Case(
        network(["use1-az1"]),
        {"has": (Zone("use1-az1", "us-east-1a", opted_in=False),)},
        "009",
        "network.availability_zones[0]",
        "has not opted in",
    ),
    "a zone that is down": Case(
        network(["use1-az1"]),
        {"has": (Zone("use1-az1", "us-east-1a", available=False),)},
        "009",
        "network.availability_zones[0]",
        "is not available now",
    ),
    "a zone name": Case(
        network(["us-east-1b", "use1-az5"]), {}, "011", "network.availability_zones[0]", "us-east-1b is use1-az4"
    ),
    "one zone under two names": Case(
        network(["use1-az4", "us-east-1b"]),
        {},
        "010",
        "network.availability_zones[1]",
        "us-east-1b and use1-az4 are the same zone",
    ),
    "a zone that does not offer the type": Case(
        fleet(),
        {"offered": {"trn1.32xlarge": {"use1-az4"}}},
        "012",
        "fleets.train.instance_types[0]",
        "EC2 does not offer trn1.32xlarge in use1-az5",
    ),
    "a type that is offered nowhere": Case(
        serving(),
        {"offered": {}},
        "012",
        "fleets.serve.instance_types[0]",
        "EC2 does not offer inf2.xlarge in use1-az4",
    ),
    "a cluster's type that is offered elsewhere": Case(
        {
            "training_clusters": {
                "llm": {"engine": "batch", "instance_type": "trn1.32xlarge", "size": {"min": 0, "max": 2}}
            }
        },
        {"offered": {"trn1.32xlarge": {"use1-az2"}}},
        "012",
        "training_clusters.llm.instance_type",
        "EC2 does not offer trn1.32xlarge",
    ),
    "a zone that is of no use": Case(
        serving(),
        {"offered": {"inf2.xlarge": {"use1-az5"}}},
        "013",
        "fleets.serve.instance_types",
        "use1-az4 offers none of the fleet's types",
    ),
    "a quota for less than max": Case(
        fleet(),
        {"quotas": {"L-2C3B7624": 256}},
        "006",
        "fleets.train.size.max",
        "(L-2C3B7624) grants 256 vCPUs, and 512 are needed at max: train 4 x 128",
    ),
    "a spot quota": Case(
        fleet(**capacity("spot")),
        {"quotas": {"L-6B0D517C": 0}},
        "006",
        "fleets.train.size.max",
        "(L-6B0D517C) grants 0 vCPUs, and 512 are needed",
    ),
    "a quota that several share": Case(
        {
            "fleets": fleet("one")["fleets"] | fleet("two", size={"min": 0, "max": 2})["fleets"],
        },
        {"quotas": {"L-2C3B7624": 512}},
        "006",
        "fleets",
        "768 are needed at max: one 4 x 128, two 2 x 128",
    ),
    "a quota that a cluster and a fleet share": Case(
        fleet()
        | {
            "training_clusters": {
                "llm": {"engine": "batch", "instance_type": "trn1.32xlarge", "size": {"min": 0, "max": 2}}
            }
        },
        {"quotas": {"L-2C3B7624": 700}},
        "006",
        "fleets",
        "768 are needed at max: train 4 x 128, llm 2 x 128",
    ),
    "a quota of the fallback": Case(
        fleet(**capacity("spot", "on-demand")),
        {"quotas": {"L-2C3B7624": 128}},
        "007",
        "fleets.train.size.max",
        "512 are needed at max, fallbacks counted: train 4 x 128",
    ),
    "a quota for less than base": Case(
        serving(**capacity("spot", {"kind": "on-demand", "base": 2})),
        {"quotas": {"L-1945791B": 4}},
        "006",
        "fleets.serve.size.max",
        "grants 4 vCPUs, and 8 are needed at max: serve 2 x 4",
    ),
    "reservations count as on-demand": Case(
        RESERVING,
        {"quotas": {"L-2C3B7624": 0}, "reservations": {RESERVED: reservation()}},
        "006",
        "fleets.train.size.max",
        "512 are needed at max",
    ),
    "the largest type counts": Case(
        serving(instance_types=["inf2.xlarge", "inf2.8xlarge"]),
        {"quotas": {"L-1945791B": 255}},
        "006",
        "fleets.serve.size.max",
        "256 are needed at max: serve 8 x 32",
    ),
    "an endpoint's quota": Case(
        serving_by(size={"min": 2, "max": 3}, scaling=SCALED, rollout={"percent": 10}),
        {"quotas": {"L-C8AB7CDA": 3}},
        "006",
        "endpoints.e.size.max",
        "(L-C8AB7CDA) grants 3 instances, and 4 are needed in an update at max: e 4",
    ),
    "an endpoint's quota where an update takes a second fleet": Case(
        serving_by(size={"min": 2, "max": 3}, scaling=SCALED, rollout={"kind": "canary"}),
        {"quotas": {"L-C8AB7CDA": 5}},
        "006",
        "endpoints.e.size.max",
        "grants 5 instances, and 6 are needed in an update at max: e 6",
    ),
    "an endpoint's quota that variants share": Case(
        serving_by(variants={"candidate": {"model": "m"}}),
        {"quotas": {"L-C8AB7CDA": 3}},
        "006",
        "endpoints.e.size.max",
        "grants 3 instances, and 4 are needed in an update at max: e Main 2, e candidate 2",
    ),
    "a pool's quota": Case(
        serving_by(instance_types=["ml.inf2.xlarge", "ml.inf2.8xlarge"]),
        {"quotas": {"L-F761337C": 1}},
        "007",
        "endpoints.e.size.max",
        "grants 1 instances, and 2 are needed in an update at max, fallbacks counted: e 2",
    ),
    "a shadow's quota": Case(
        serving_by(
            shadow={"model": "m", "percent": 10, "instance_types": ["ml.inf2.8xlarge"], "size": {"min": 3, "max": 3}}
        ),
        {"quotas": {"L-F761337C": 5}},
        "006",
        "endpoints.e.shadow.size.max",
        "grants 5 instances, and 6 are needed in an update at max: e Shadow 6",
    ),
    "a quota that the catalogue does not know": Case(
        serving_by(instance_types=["ml.trn2.48xlarge"]) | model(target="trn2"),
        {},
        "035",
        "endpoints.e.instance_types[0]",
        "does not know the quota of ml.trn2.48xlarge",
    ),
    "an unknown quota": Case(
        fleet(), {"quotas": {"L-2C3B7624": -1}}, "004", "fleets.train.size.max", "quota L-2C3B7624 could not be checked"
    ),
    "no AMI parameter": Case(
        fleet(),
        {
            "named": {
                "/cdk-bootstrap/hnb659fds/version": "32",
                **dict.fromkeys(["/aws/service/neuron/dlami/base/ubuntu-24.04/latest/image_id"], "none"),
            }
        },
        "014",
        "fleets.train.instance_types[0]",
        "holds no AMI id",
    ),
    "a pinned AMI that is not there": Case(fleet(ami=AMI), {}, "015", "fleets.train.ami", "no such AMI"),
    "a pinned AMI that is not ready": Case(
        fleet(ami=AMI), {"images": {AMI: Image("pending", "x86_64")}}, "016", "fleets.train.ami", "the AMI is pending"
    ),
    "a pinned AMI of another architecture": Case(
        fleet(ami=AMI),
        {"images": {AMI: Image("available", "arm64")}},
        "016",
        "fleets.train.ami",
        "the AMI is for arm64, and trn1.32xlarge is x86_64",
    ),
    "a pinned AMI of Windows": Case(
        fleet(ami=AMI),
        {"images": {AMI: Image("available", "x86_64", windows=True)}},
        "016",
        "fleets.train.ami",
        "the AMI is of Windows",
    ),
    "no reservation": Case(
        RESERVING, {}, "017", "fleets.train.capacity[0].reservation", "no such capacity reservation"
    ),
    "a reservation that ended": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(state="expired")}},
        "018",
        "fleets.train.capacity[0].reservation",
        "is expired",
    ),
    "a block that is a reservation": Case(
        BLOCKED,
        {"reservations": {BLOCK: reservation()}},
        "018",
        "fleets.train.capacity[0].reservation",
        "this is a reservation, not a capacity-block",
    ),
    "a reservation of another type": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(instance_type="trn1.2xlarge")}},
        "019",
        "fleets.train.capacity[0].reservation",
        "it reserves trn1.2xlarge, and the fleet takes trn1.32xlarge",
    ),
    "a reservation for Windows": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(platform="Windows")}},
        "019",
        "fleets.train.capacity[0].reservation",
        "it is for Windows",
    ),
    "a reservation in another zone": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(zone="us-east-1b")}},
        "020",
        "fleets.train.capacity[0].reservation",
        "it is in use1-az4, and the fleet in use1-az5",
    ),
    "a reservation too small for a training fleet": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(count=2)}},
        "021",
        "fleets.train.size.max",
        "hold 2 instances, and it may have 4",
    ),
    "a block that ends soon": Case(
        BLOCKED,
        {"reservations": {BLOCK: reservation(block=True, ends=SOON)}},
        "022",
        "fleets.train.capacity[0].reservation",
        "it ends at ",
    ),
    "a block that has not begun": Case(
        BLOCKED,
        {"reservations": {BLOCK: reservation(block=True, state="scheduled", starts=SOON, ends=LATER)}},
        "023",
        "fleets.train.capacity[0].reservation",
        f"it is scheduled: {SOON:%Y-%m-%d %H:%M} UTC to {LATER:%Y-%m-%d %H:%M} UTC",
    ),
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
    "no certificate": Case(
        model() | serving(model="m", serving={"certificate": CERTIFICATE}),
        {},
        "029",
        "fleets.serve.serving.certificate",
        "no such certificate",
    ),
    "a certificate that waits": Case(
        model() | serving(model="m", serving={"certificate": CERTIFICATE}),
        {"certificates": {CERTIFICATE: "PENDING_VALIDATION"}},
        "030",
        "fleets.serve.serving.certificate",
        "PENDING_VALIDATION",
    ),
    "no bucket": Case(model("s3://other/m/"), {}, "031", "models.m.source.s3", "there is no bucket other"),
    "an empty source": Case(model(), {"buckets": {"models": False}}, "032", "models.m.source.s3", "nothing lies there"),
    "an empty mirror": Case(
        model(mirror="s3://models/m/", **HUB),
        {"buckets": {"models": False}},
        "032",
        "models.m.source.mirror",
        "nothing",
    ),
    "a bucket that says nothing": Case(
        model(watch=True), {"silent": {"models"}}, "036", "models.m.source.watch", "sends EventBridge nothing"
    ),
    "no secret": Case(model(token=TOKEN, **HUB), {}, "037", "models.m.source.token", "there is no such secret"),
    "a secret that goes": Case(
        model(token=TOKEN, **HUB), {"secrets": {TOKEN: False}}, "037", "models.m.source.token", "about to be deleted"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_check_finds_what_is_wrong_and_nothing_else(case: Case, diagnose: Callable[..., Report]) -> None:
    report = diagnose(case.file, **case.aws)

    code = f"NCDK-DOCTOR-{case.code}"
    zone_names = set() if case.code == "011" else {"NCDK-DOCTOR-011"}  # told beside whatever else is wrong with them
    found = [(finding.code, finding.pointer) for finding in report.findings if finding.code not in zone_names]
    assert found == [(code, case.pointer)], "\n".join(map(str, report.findings))
    (finding,) = [finding for finding in report.findings if finding.code == code]
    assert case.says in finding.message
    assert finding.line > 0
    assert report.well is (finding.severity != "error")


def test_every_code_of_a_check_has_a_case() -> None:
    covered = {f"NCDK-DOCTOR-{case.code}" for case in CASES.values()}

    assert set(CODES) - covered == {"NCDK-DOCTOR-001", "NCDK-DOCTOR-005"}  # test_examination.py
    assert CODES.keys() & CODES_OF_FILES.keys() == set()


ALL_WELL = {
    "nothing but a network": {},
    "a fleet": fleet(),
    "blocks, then spot, then on-demand": fleet(**capacity(reserved("capacity-block", BLOCK), "spot", "on-demand")),
    "an inference fleet with a smaller reservation": serving(
        instance_types=["trn1.32xlarge"], zone="use1-az5", **capacity(reserved(), "on-demand")
    ),
    "a model": model(),
    "a VPC that exists": existing(),
    "inf1 with an AMI of its own": serving(instance_types=["inf1.xlarge"], ami=AMI),
}


@pytest.mark.parametrize("file", ALL_WELL.values(), ids=ALL_WELL)
def test_what_is_well_has_no_findings(file: dict[str, Any], diagnose: Callable[..., Report]) -> None:
    report = diagnose(
        file,
        images={AMI: Image("available", "x86_64")},
        reservations={BLOCK: reservation(block=True, ends=LATER), RESERVED: reservation()},
        quotas={"L-2C3B7624": 1024},
        vpcs=A_VPC,
        subnet=ITS_SUBNETS,
    )

    assert report.findings == ()
    assert report.well


def test_blocks_count_against_no_quota(diagnose: Callable[..., Report]) -> None:
    file = fleet(**capacity(reserved("capacity-block", BLOCK)))

    report = diagnose(
        file,
        reservations={BLOCK: reservation(block=True, ends=LATER)},
        quotas={"L-2C3B7624": 0, "L-6B0D517C": 0},
    )

    assert report.findings == ()


def test_a_short_quota_says_how_to_ask_for_more(diagnose: Callable[..., Report]) -> None:
    (finding,) = diagnose(fleet(), quotas={"L-2C3B7624": 256}).findings

    assert finding.given == "512 vCPUs"
    assert finding.fix == (
        "request 512 vCPUs: aws service-quotas request-service-quota-increase --service-code ec2 "
        "--quota-code L-2C3B7624 --desired-value 512 --region us-east-1"
    )
