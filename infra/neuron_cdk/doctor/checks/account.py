"""The account and the region."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec import Deployment
from ...spec.findings import Problem
from ..aws import Aws


def is_the_files(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    account = aws.account()
    if account != deployment.environment.account:
        yield Problem(
            "NCDK-DOCTOR-002",
            ("environment", "account"),
            f"the credentials are of account {account}",
            fix="use credentials of the file's account: set AWS_PROFILE, or log in again",
        )


def region_is_enabled(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    region = deployment.environment.region
    status = aws.region_status()
    if status not in ("opt-in-not-required", "opted-in"):
        yield Problem(
            "NCDK-DOCTOR-003",
            ("environment", "region"),
            f"{region} is not enabled in this account" if status else f"the account knows no region {region}",
            fix=f"enable it: aws account enable-region --region-name {region}",
        )
