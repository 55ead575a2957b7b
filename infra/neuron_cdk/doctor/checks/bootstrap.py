"""What ``cdk bootstrap`` leaves in an account: a deploy needs it."""

from __future__ import annotations

from collections.abc import Iterator

from ...catalog.software import EMBEDDED_ACCOUNT
from ...spec import Deployment
from ...spec.findings import Problem
from ...spec.source import Pointer
from ..aws import Aws

STACK = "CDKToolkit"
VERSION = "/cdk-bootstrap/hnb659fds/version"  # the qualifier of stacks that name none, as ours
OLDEST = 6
"""What the rule CheckBootstrapVersion in every synthesized template asks for."""
_HERE: Pointer = ("environment",)


def is_there(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    where = deployment.environment
    if where.account == EMBEDDED_ACCOUNT:
        return  # neuron-cdk local deploy sees to it
    fix = f"run cdk bootstrap aws://{where.account}/{where.region}"
    status = aws.stack_status(STACK)
    if status is None or not status.endswith("_COMPLETE") or status in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
        state = f"is {status}" if status else "is not there"
        yield Problem("NCDK-DOCTOR-033", _HERE, f"the CDK's bootstrap stack {STACK} {state}", fix=fix, given="")
        return
    version = aws.parameter(VERSION)
    if version is None:
        message = f"the CDK's bootstrap left no version in {VERSION}"
        yield Problem("NCDK-DOCTOR-033", _HERE, message, fix=fix, given="")
    elif not version.isdecimal() or int(version) < OLDEST:
        yield Problem(
            "NCDK-DOCTOR-034",
            _HERE,
            "the CDK's bootstrap stack is too old",
            f"version {OLDEST} or newer",
            fix,
            given=f"version {version}",
        )
