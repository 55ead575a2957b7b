"""Checks are independent: one that gets no answer says why, in one line, and the others go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.doctor import Report
from neuron_cdk.doctor.aws import CannotAskError, DeniedError, FailedError

FLEET = {
    "fleets": {
        "train": {"purpose": "training", "instance_types": ["trn1.32xlarge"], "size": {"min": 0, "max": 4}},
    }
}
Diagnose = Callable[..., Report]


def test_without_credentials_there_is_one_finding(diagnose: Diagnose) -> None:
    report = diagnose(FLEET, raises={"account": CannotAskError("there are no credentials", "log in")})

    (finding,) = report.findings
    assert (finding.code, finding.fix) == ("NCDK-DOCTOR-001", "log in")
    assert finding.message == "AWS cannot be asked: there are no credentials"
    assert not report.well


def test_another_accounts_answers_are_not_compared(diagnose: Diagnose) -> None:
    report = diagnose(FLEET, account_id="999988887777", stacks={}, quotas={"L-2C3B7624": 0})

    assert [finding.code for finding in report.findings] == ["NCDK-DOCTOR-002"]


@pytest.mark.parametrize(
    ("method", "action", "subject"),
    [
        ("region_status", "ec2:DescribeRegions", "the region"),
        ("quota", "servicequotas:GetServiceQuota", "quotas"),
        ("offerings", "ec2:DescribeInstanceTypeOfferings", "offerings"),
        ("stack_status", "cloudformation:DescribeStacks", "CDK bootstrap"),
    ],
)
def test_a_missing_permission_is_a_warning_that_names_it(
    method: str, action: str, subject: str, diagnose: Diagnose
) -> None:
    report = diagnose(FLEET, raises={method: DeniedError(action)})

    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("NCDK-DOCTOR-004", "warning")
    assert finding.message == f"{subject} could not be checked: needs {action}"
    assert report.well


def test_one_failure_leaves_the_other_checks_alone(diagnose: Diagnose) -> None:
    report = diagnose(
        FLEET,
        raises={"quota": FailedError("TooManyRequestsException", "Rate exceeded")},
        stacks={},
    )

    assert [finding.code for finding in report.findings] == ["NCDK-DOCTOR-033", "NCDK-DOCTOR-005"]
    assert report.findings[1].message == (
        "quotas could not be checked: AWS answered TooManyRequestsException: Rate exceeded"
    )


def test_an_answer_nobody_expected_is_a_finding_and_no_traceback(diagnose: Diagnose) -> None:
    report = diagnose(FLEET, raises={"quota": KeyError("Quota")})

    (finding,) = report.findings
    assert (finding.code, finding.fix) == ("NCDK-DOCTOR-005", "report this: it is a mistake in neuron-cdk")


def test_what_several_checks_could_not_ask_is_told_for_each(diagnose: Diagnose) -> None:
    report = diagnose(FLEET, raises={"zones": DeniedError("ec2:DescribeAvailabilityZones")})

    told: list[Any] = [finding.message for finding in report.findings]
    assert told == [
        "zones could not be checked: needs ec2:DescribeAvailabilityZones",
        "offerings could not be checked: needs ec2:DescribeAvailabilityZones",
    ]
