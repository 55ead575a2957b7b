"""What fleets that serve need besides instances."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec import Deployment
from ...spec.findings import Problem
from ...spec.source import Pointer
from ..aws import Aws


def certificates_are_issued(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    for name, fleet in deployment.fleets.items():
        if fleet.serving is None or fleet.serving.certificate is None:
            continue
        at: Pointer = ("fleets", name, "serving", "certificate")
        status = aws.certificate_status(fleet.serving.certificate)
        if status is None:
            message = "there is no such certificate in this account and region"
            yield Problem("NCDK-DOCTOR-029", at, message, fix="request it in ACM, or remove certificate")
        elif status != "ISSUED":
            yield Problem(
                "NCDK-DOCTOR-030", at, f"the certificate is {status}", "ISSUED", "validate it in ACM, or take another"
            )
