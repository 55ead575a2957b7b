"""``neuron-cdk doctor`` against the embedded AWS: the adapter's every question, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from neuron_cdk import spec
from neuron_cdk.doctor import Report, examine
from neuron_cdk.doctor.boto import BotoAws
from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).parents[2]
BLOCK = "cr-0123456789abcdef0"
AMI = "ami-0dddddddddddddddd"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"

Clients = Callable[[str], Any]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    def write(sections: Mapping[str, Any]) -> Path:
        path = tmp_path / "file.yaml"
        content = {
            "name": "doctored",
            "environment": {"account": "000000000000", "region": "us-east-1"},
            "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "nat"},
        }
        path.write_text(yaml.safe_dump(content | dict(sections), sort_keys=False))
        return path

    return write


@pytest.fixture
def diagnose_in(written: Callable[..., Path]) -> Callable[[EmbeddedAws, Mapping[str, Any]], Report]:
    def run(aws: EmbeddedAws, sections: Mapping[str, Any]) -> Report:
        session = boto3.Session("test", "test", region_name="us-east-1")
        deployment = spec.load(written(sections)).deployment
        return examine(deployment, BotoAws(session, "us-east-1", endpoint=aws.url))

    return run


@pytest.fixture
def diagnose(embedded_aws: EmbeddedAws, diagnose_in: Callable[..., Report]) -> Callable[[Mapping[str, Any]], Report]:
    return lambda sections: diagnose_in(embedded_aws, sections)


@pytest.fixture
def put(embedded_aws: EmbeddedAws) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    def send(what: str, body: Mapping[str, Any]) -> None:
        request = urllib.request.Request(
            f"{embedded_aws.url}/_neuron_cdk/{what}", json.dumps(body).encode(), method="PUT"
        )
        urllib.request.urlopen(request, timeout=300).close()

    yield send
    send("quotas", {})


def _fleet(**more: Any) -> dict[str, Any]:
    base = {"purpose": "training", "instance_types": ["trn1.32xlarge"], "size": {"min": 0, "max": 4}}
    return {"fleets": {"train": base | more}}


def _found(report: Report) -> list[tuple[str, str]]:
    return [(finding.code.removeprefix("NCDK-DOCTOR-"), finding.pointer) for finding in report.findings]


def test_a_fleet_that_fits_has_no_findings(diagnose: Callable[..., Report]) -> None:
    assert diagnose(_fleet()).findings == ()


def test_a_quota_that_is_too_small(diagnose: Callable[..., Report], put: Any) -> None:
    put("quotas", {"L-2C3B7624": 256})

    (finding,) = diagnose(_fleet()).findings

    assert finding.message == (
        "Running On-Demand Trn instances (L-2C3B7624) grants 256 vCPUs, and 512 are needed at max: train 4 x 128"
    )


def test_zone_names_are_this_accounts(diagnose: Callable[..., Report]) -> None:
    network = {"cidr": "10.40.0.0/16", "availability_zones": ["us-east-1e", "us-east-1z"], "egress": "nat"}

    report = diagnose({"network": network})

    assert _found(report) == [("011", "network.availability_zones[0]"), ("008", "network.availability_zones[1]")]
    assert report.findings[0].message == "us-east-1e is use1-az5 in this account"


def test_a_block_is_compared_with_its_fleet(own_aws: EmbeddedAws, diagnose_in: Callable[..., Report]) -> None:
    """In an embedded AWS whose clock is this machine's, as the doctor's is."""
    own_aws.up()

    def diagnose(file: Mapping[str, Any]) -> Report:
        return diagnose_in(own_aws, file)

    file = _fleet(zone="use1-az5", capacity=[{"kind": "capacity-block", "reservation": BLOCK}, {"kind": "on-demand"}])
    assert _found(diagnose(file)) == [("017", "fleets.train.capacity[0].reservation")]
    now = time.time()
    block = {"instance_type": "trn1.32xlarge", "count": 4, "zone": "use1-az5", "type": "capacity-block"}

    own_aws.control("reservations", {BLOCK: block | {"end": now + 30 * 86_400}})
    assert diagnose(file).findings == ()
    own_aws.control(
        "reservations", {BLOCK: block | {"start": now + 7200, "end": now + 86_400, "zone": "use1-az4", "count": 2}}
    )
    assert {code for code, _ in _found(diagnose(file))} == {"020", "021", "022", "023"}
    own_aws.control("reservations", {BLOCK: block | {"end": now - 60}})
    assert _found(diagnose(file)) == [("018", "fleets.train.capacity[0].reservation")]


def test_a_vpc_and_its_subnets(diagnose: Callable[..., Report], client: Clients) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.50.{index}.0/24", AvailabilityZoneId=zone)["Subnet"]["SubnetId"]
        for index, zone in enumerate(("use1-az4", "use1-az5"))
    ]
    network = {
        "vpc_id": vpc,
        "subnet_ids": subnets,
        "availability_zones": ["use1-az4", "use1-az5"],
        "egress": "nat",
    }

    assert diagnose({"network": network}).findings == ()
    swapped = network | {"availability_zones": ["use1-az5", "use1-az4"]}
    assert [code for code, _ in _found(diagnose({"network": swapped}))] == ["027", "027"]
    strange = network | {"subnet_ids": [subnets[0], "subnet-0fffffffffffffff0"]}
    assert _found(diagnose({"network": strange})) == [("026", "network.subnet_ids[1]")]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    assert _found(diagnose({"network": network})) == [("025", "network.vpc_id")]
    elsewhere = network | {"vpc_id": "vpc-0fffffffffffffff0"}
    assert _found(diagnose({"network": elsewhere})) == [("024", "network.vpc_id")]


def test_a_pinned_ami(diagnose: Callable[..., Report], client: Clients) -> None:
    assert _found(diagnose(_fleet(ami=AMI))) == [("015", "fleets.train.ami")]
    arm = client("ec2").register_image(Name="arm", Architecture="arm64", RootDeviceName="/dev/sda1")["ImageId"]
    fitting = client("ec2").register_image(Name="x86", Architecture="x86_64", RootDeviceName="/dev/sda1")["ImageId"]

    assert _found(diagnose(_fleet(ami=arm))) == [("016", "fleets.train.ami")]
    assert diagnose(_fleet(ami=fitting)).findings == ()


def test_a_source_and_a_certificate(diagnose: Callable[..., Report], client: Clients) -> None:
    compiled = {"engine": "torch-neuronx", "target": "inf2"}
    models = {"m": {"source": {"s3": "s3://doctored/m/"}, "task": "feature-extraction", "compile": compiled}}
    fleet = {
        "purpose": "inference",
        "instance_types": ["inf2.xlarge"],
        "size": {"min": 1, "max": 1},
        "model": "m",
        "serving": {"certificate": CERTIFICATE},
    }
    file = {"models": models, "fleets": {"serve": fleet}}
    assert _found(diagnose(file)) == [
        ("031", "models.m.source.s3"),
        ("029", "fleets.serve.serving.certificate"),
    ]
    client("s3").create_bucket(Bucket="doctored")
    fleet["serving"] = {
        "certificate": client("acm").request_certificate(DomainName="models.example.com")["CertificateArn"]
    }
    assert _found(diagnose(file)) == [("032", "models.m.source.s3")]
    client("s3").put_object(Bucket="doctored", Key="m/model.safetensors", Body=b"0")
    assert diagnose(file).findings == ()


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'infra')!r}); import neuron_cdk.cli as cli; cli.main()"
    return subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": "/usr/bin:/bin"},
    )


def test_the_command_finds_the_embedded_aws_and_says_so(
    embedded_aws: EmbeddedAws, written: Callable[..., Path], put: Any
) -> None:
    path = written(_fleet())
    put("quotas", {"L-2C3B7624": 0})

    done = _run("doctor", str(path), "--state", str(embedded_aws.state_dir))

    assert done.returncode == 1
    assert done.stderr == f"asking the embedded AWS at {embedded_aws.url}\n"
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(f"{path}:16:12: error NCDK-DOCTOR-006 fleets.train.size.max: Running On-Demand Trn")
    assert last == f"{path}: not ready to deploy, 1 error"


def test_the_commands_json_has_validates_shape(embedded_aws: EmbeddedAws, written: Callable[..., Path]) -> None:
    path = written(_fleet(zone="us-east-1e"))

    done = _run("doctor", "--json", str(path), "--state", str(embedded_aws.state_dir))

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["file"], told["valid"]) == (str(path), True)
    assert told["asked"] == f"the embedded AWS at {embedded_aws.url}"
    assert {"code", "severity", "message", "file", "line", "column", "pointer", "given", "allowed", "fix"} == set(
        told["findings"][0]
    )


def test_the_deployment_of_make_deploy_local_is_ready(embedded_aws: EmbeddedAws) -> None:
    done = _run("doctor", "deployments/local.yaml", "--state", str(embedded_aws.state_dir))

    assert (done.returncode, done.stdout) == (0, "deployments/local.yaml: ready to deploy\n")
