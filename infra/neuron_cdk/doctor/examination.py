"""All checks at once, each on its own: one that cannot be made says so, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from .. import spec
from ..spec.findings import Finding, Problem, find
from ..spec.source import Pointer
from .aws import AskError, Aws, CannotAskError, DeniedError
from .checks import account, bootstrap, images, network, quotas, reservations, serving, sources, zones
from .codes import CODES

_AT_ONCE = 8
_REGION: Pointer = ("environment", "region")


class Check(NamedTuple):
    """One question to AWS. ``subject`` says what, and ``pointer`` where the file asks for it."""

    subject: str
    pointer: Pointer
    run: Callable[[spec.Deployment, Aws], Iterable[Problem]]


_FIRST = (
    Check("the account", ("environment", "account"), account.is_the_files),
    Check("the region", _REGION, account.region_is_enabled),
)
"""Without these the rest would be about another account, or nothing at all."""

_CHECKS = (
    Check("CDK bootstrap", ("environment",), bootstrap.is_there),
    Check("zones", ("network", "availability_zones"), zones.are_the_accounts),
    Check("offerings", ("fleets",), zones.offer_the_types),
    Check("quotas", ("fleets",), quotas.suffice),
    Check("AMIs", ("fleets",), images.can_be_started),
    Check("capacity reservations", ("fleets",), reservations.hold_what_is_asked),
    Check("the VPC and its subnets", ("network", "vpc_id"), network.exists),
    Check("certificates", ("fleets",), serving.certificates_are_issued),
    Check("model sources", ("models",), sources.can_be_read),
    Check("watched buckets", ("models",), sources.are_told_of),
    Check("tokens", ("models",), sources.tokens_are_there),
)


@dataclass(frozen=True, slots=True)
class Report:
    """``findings`` in the order of the file."""

    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """No errors; warnings do not count."""
        return not any(finding.severity is spec.Severity.ERROR for finding in self.findings)


def examine(deployment: spec.Deployment, aws: Aws, *, progress: Callable[[str], object] = str) -> Report:
    """Compare a deployment with what AWS says.

    ``progress`` is told what was looked at, as each check ends. Raises nothing that AWS could cause.
    """
    problems: list[Problem] = []
    for check in _FIRST:
        problems += _run(check, deployment, aws)
        progress(check.subject)
        if any(CODES[problem.code].severity is spec.Severity.ERROR for problem in problems):
            return _report(problems, deployment)
    with ThreadPoolExecutor(_AT_ONCE) as threads:

        def run(check: Check) -> list[Problem]:
            found = _run(check, deployment, aws)
            progress(check.subject)
            return found

        for found in threads.map(run, _CHECKS):
            problems += found
    return _report(problems, deployment)


def _run(check: Check, deployment: spec.Deployment, aws: Aws) -> list[Problem]:
    problems: list[Problem] = []
    try:
        problems.extend(check.run(deployment, aws))
    except AskError as error:
        problems.append(_unanswered(check, error))
    except Exception as error:
        # An answer of a shape that nobody expected must not take the other checks' findings with it.
        problems.append(
            Problem(
                "NCDK-DOCTOR-005",
                check.pointer,
                f"{check.subject} could not be checked: {type(error).__name__}: {error}",
                fix="report this: it is a mistake in neuron-cdk",
                given="",
            )
        )
    return problems


def _unanswered(check: Check, error: AskError) -> Problem:
    match error:
        case DeniedError(action=action):
            return Problem(
                "NCDK-DOCTOR-004",
                check.pointer,
                f"{check.subject} could not be checked: needs {action}",
                fix=f"allow {action} to whoever runs the doctor",
                given="",
            )
        case CannotAskError(fix=fix):
            return Problem("NCDK-DOCTOR-001", check.pointer, f"AWS cannot be asked: {error}", fix=fix, given="")
    return Problem(
        "NCDK-DOCTOR-005",
        check.pointer,
        f"{check.subject} could not be checked: {error}",
        fix="run it again; if it fails again, ask AWS",
        given="",
    )


def _report(problems: Iterable[Problem], deployment: spec.Deployment) -> Report:
    findings = set(_placed(problems, deployment))
    return Report(tuple(sorted(findings, key=lambda it: (it.line, it.column, it.code, it.pointer, it.message))))


def _placed(problems: Iterable[Problem], deployment: spec.Deployment) -> Iterator[Finding]:
    for problem in problems:
        yield find(problem, deployment.source, CODES)
