"""One question, answered: may this role do these things? And what it is told when not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from . import accounting, resources, switch
from .conditions import UnknownPolicyElementError
from .policies import Check, Decision, Statement, decide, parse
from .sessions import Caller, record_of

logger = logging.getLogger("neuron_cdk.local")

_parsed: dict[str, tuple[Any, list[Statement]]] = {}
"""A role's statements beside the documents they were read from."""
_read: dict[str, list[Statement]] = {}
"""The statements of resources' policies by their text."""


class RefusedError(Exception):
    """What AWS says; ``check`` is what was asked for, None where the embedded AWS cannot tell what that is."""

    def __init__(self, message: str, check: Check | None = None) -> None:
        super().__init__(message)
        self.check = check


def authorize(caller: Caller, checks: Iterable[Check]) -> None:
    """Return when ``caller`` is allowed all of them. Raises ``RefusedError``."""
    for check in checks:
        try:
            decision = _decide(caller, check)
        except UnknownPolicyElementError as error:
            refuse(caller, f"{caller.name}: {check.action}: {error}", check)
            continue
        if decision.allowed:
            accounting.used(caller.role, check.action, decision)
        else:
            refuse(caller, wording(caller, check, decision), check)


def refuse(caller: Caller, message: str, check: Check | None = None) -> None:
    """Say no: raises ``RefusedError``, but where refusals are only written down."""
    logger.warning("refused: %s", message)
    accounting.refused(caller.role, message)
    if switch.enforcing():
        raise RefusedError(message, check)


def wording(caller: Caller, check: Check, decision: Decision) -> str:
    """The sentence of "Troubleshoot access denied error messages" (IAM user guide)."""
    reason = (
        f"with an explicit deny in {'an' if decision.kind == 'identity-based' else 'a'} {decision.kind} policy"
        if decision.explicit
        else f"because no {decision.kind} policy allows the {check.action} action"
    )
    on = f" on resource: {check.resource}" if check.resource != "*" else " on resource: *"
    return f"User: {caller.arn} is not authorized to perform: {check.action}{on} {reason}"


def _decide(caller: Caller, check: Check) -> Decision:
    region = check.resource.split(":")[3] if check.resource.count(":") >= 5 else ""
    context = {
        "aws:principalarn": caller.role,
        "aws:principalaccount": caller.account,
        "aws:principaltype": "AssumedRole",
        "aws:requestedregion": region,
        "aws:resourceaccount": caller.account,
        # The embedded AWS answers on this machine alone, over http. The clients it is for speak TLS to AWS: botocore's
        # endpoints are https. What a policy asks of the way there is taken for met, here as on AWS.
        "aws:securetransport": "true",
        "s3:tlsversion": "1.3",
        **check.context,
    }
    resource, must = _resource_policy(check)
    return decide(
        Check(check.action, check.resource, context),
        statements_of(caller.role),
        resource,
        caller={"arn": caller.role, "session": caller.arn, "account": caller.account},
        resource_must=must,
    )


def statements_of(role: str) -> list[Statement]:
    """The statements of a role's policies, read again when one of them changes.

    :raises UnknownPolicyElementError: a policy has what cannot be decided here.
    """
    record = record_of(role)
    documents = dict(record["InlinePolicies"]) if record else {}
    known = _parsed.get(role)
    if known is None or known[0] != documents:
        statements = [one for name, document in documents.items() for one in parse(document, name)]
        known = _parsed[role] = documents, statements
        accounting.granted(role, statements)
    return known[1]


def _resource_policy(check: Check) -> tuple[Sequence[Statement], bool]:
    """The resource's own policy, and whether it must allow."""
    service = check.action.partition(":")[0]
    if service == "s3" and check.resource.startswith("arn:aws:s3:::"):
        return _statements(
            resources.bucket_policy(check.resource.removeprefix("arn:aws:s3:::").partition("/")[0])
        ), False
    if service == "kms" and check.resource.startswith("arn:"):
        policy = resources.key_policy(check.resource)
        return _statements(policy), policy is not None
    return (), False


def _statements(policy: Any) -> list[Statement]:
    if not policy:
        return []
    text = policy if isinstance(policy, str) else json.dumps(policy, sort_keys=True)
    if text not in _read:
        _read[text] = parse(text, "resource")
    return _read[text]
