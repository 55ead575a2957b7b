"""Policies and what they decide, after "Policy evaluation logic" (IAM user guide); no AWS, no server here.

A request is allowed when a statement allows it and none denies it. A resource may have a policy of its own: in the same
account an Allow in either is enough, but for a KMS key, whose own policy must allow, or leave it to IAM by naming the
account ("Allows access to the AWS account and enables IAM policies", KMS developer guide).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .conditions import Context, UnknownPolicyElementError, arn_like, glob, listed, met, substituted

_KNOWN = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked for: an action on one resource (``*`` where AWS knows none), with the condition keys."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement of a policy; ``source`` is the policy it stands in and its place there."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]]
    principal: Any = None
    other_actions: bool = False
    """``actions`` is NotAction: all but these."""
    other_resources: bool = False
    source: tuple[str, int] = ("", 0)

    def action(self, name: str) -> str | None:
        """The action of this statement that covers ``name``, as it is written there."""
        hit = next((one for one in self.actions if glob(one, any_case=True).fullmatch(name)), None)
        if self.other_actions:
            return f"all but {', '.join(self.actions)}" if hit is None else None
        return hit

    def covers(self, check: Check) -> bool:
        """Whether it is about this. Raises ``UnknownPolicyElementError``."""
        return (
            self.action(check.action) is not None
            and self._is_about(check.resource, check.context)
            and met(self.condition, check.context)
        )

    def _is_about(self, resource: str, context: Context) -> bool:
        if not self.resources:  # of a trust policy, or of a policy that stands on its one resource
            return True
        wanted = (substituted(one, context) for one in self.resources)
        return any(one is not None and matches(resource, one) for one in wanted) != self.other_resources


def matches(resource: str, pattern: str) -> bool:
    return pattern == "*" or arn_like(resource, pattern)


def parse(document: str | Mapping[str, Any] | None, name: str = "") -> list[Statement]:
    """The statements of a policy. Raises ``UnknownPolicyElementError``."""
    if not document:
        return []
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return [_statement(one, name, place) for place, one in enumerate(statements)]


def _statement(one: Mapping[str, Any], name: str, place: int) -> Statement:
    unknown = set(one) - _KNOWN
    if unknown:
        raise UnknownPolicyElementError(f"the policy element {', '.join(sorted(unknown))} is not known here")
    if one.get("Effect") not in ("Allow", "Deny"):
        raise UnknownPolicyElementError(f"the effect {one.get('Effect')!r}: Allow or Deny")
    return Statement(
        effect=one["Effect"],
        actions=tuple(listed(one.get("Action", one.get("NotAction", [])))),
        resources=tuple(listed(one.get("Resource", one.get("NotResource", [])))),
        condition=one.get("Condition", {}),
        principal=one.get("Principal"),
        other_actions="NotAction" in one,
        other_resources="NotResource" in one,
        source=(name, place),
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """``by`` is the statement that decided: none where nothing allows."""

    allowed: bool
    by: Statement | None = None
    kind: str = "identity-based"
    """The type of policy that decided, as AWS's message has it: identity-based or resource-based."""

    @property
    def explicit(self) -> bool:
        return not self.allowed and self.by is not None


def decide(
    check: Check,
    identity: Sequence[Statement],
    resource: Sequence[Statement] = (),
    *,
    caller: Mapping[str, str],
    resource_must: bool = False,
) -> Decision:
    """What the policies of the caller and of the resource say.

    :param caller: who asks: ``arn`` (of the role), ``session`` and ``account``, or ``service`` for an AWS service.
    :param resource_must: the resource's own policy must allow it, or name the account (a KMS key).
    :raises UnknownPolicyElementError: a policy has what cannot be decided here.
    """
    named = [(one, _named(one.principal, caller)) for one in resource]
    applicable = [(one, how) for one, how in named if how]
    for kind, statements in (("identity-based", identity), ("resource-based", [one for one, _ in applicable])):
        denied = _first(statements, "Deny", check)
        if denied:
            return Decision(False, denied, kind)
    allowed = _first(identity, "Allow", check)
    directly = _first((one for one, how in applicable if how == "itself"), "Allow", check)
    if directly:
        return Decision(True, allowed or directly, "identity-based" if allowed else "resource-based")
    if resource_must and not _first((one for one, how in applicable if how == "account"), "Allow", check):
        return Decision(False, None, "resource-based")
    return Decision(allowed is not None, allowed)


def trusts(policy: Sequence[Statement], service: str, context: Context) -> bool:
    """Whether a role's trust policy lets ``service`` take it on."""
    check = Check("sts:AssumeRole", "*", context)
    about = [one for one in policy if _named(one.principal, {"service": service}) == "itself"]
    return _first(about, "Deny", check) is None and _first(about, "Allow", check) is not None


def _first(statements: Iterable[Statement], effect: str, check: Check) -> Statement | None:
    return next((one for one in statements if one.effect == effect and one.covers(check)), None)


def _named(principal: Any, caller: Mapping[str, str]) -> str | None:
    """How a statement's Principal names the caller: ``itself``, by its ``account``, or not at all (None).

    ``*`` names everybody, and is itself enough.
    """
    if principal == "*":
        return "itself"
    if not isinstance(principal, Mapping):
        raise UnknownPolicyElementError("a resource's policy needs a Principal")
    unknown = set(principal) - {"AWS", "Service"}
    if unknown:
        raise UnknownPolicyElementError(f"the principal {', '.join(sorted(unknown))} is not known here")
    if caller.get("service") in listed(principal.get("Service", [])):
        return "itself"
    names = listed(principal.get("AWS", [])) if "arn" in caller else []
    if any(name in ("*", caller["arn"], caller["session"]) for name in names):
        return "itself"
    account = caller.get("account")
    if any(name == account or name == f"arn:aws:iam::{account}:root" for name in names):
        return "account"
    return None
