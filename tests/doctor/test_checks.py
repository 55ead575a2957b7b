"""What each check finds, by a table: what the file asks, what AWS says, and the finding's code, place and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.doctor import Report
from neuron_cdk.doctor.aws import Image
from neuron_cdk.doctor.codes import CODES
from neuron_cdk.spec import CODES as CODES_OF_FILES
from tests.doctor import cases_of_capacity, cases_of_models, cases_of_networks, cases_of_places, cases_of_quotas
from tests.doctor.asked import (
    A_VPC,
    AMI,
    BLOCK,
    ITS_SUBNETS,
    LATER,
    RESERVED,
    Case,
    capacity,
    existing,
    fleet,
    model,
    reservation,
    reserved,
    serving,
)

CASES = {
    name: case
    for cases in (cases_of_places, cases_of_quotas, cases_of_capacity, cases_of_networks, cases_of_models)
    for name, case in cases.CASES.items()
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
