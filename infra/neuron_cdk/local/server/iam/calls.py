"""A call of AWS's API, and the ways in which the resources it needs follow from its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import Formatter
from typing import Any

from .policies import Check


@dataclass(frozen=True, slots=True)
class Call:
    """One call; ``service`` is the prefix of its actions, ``request`` has the members of botocore's model."""

    service: str
    operation: str
    request: Mapping[str, Any]
    region: str
    account: str

    def arn(self, rest: str, *, service: str | None = None) -> str:
        return (
            rest
            if rest.startswith("arn:")
            else f"arn:aws:{service or self.service}:{self.region}:{self.account}:{rest}"
        )

    def check(self, resource: str, **context: str | list[str]) -> Check:
        return Check(f"{self.service}:{self.operation}", resource, context)


class UnknownOperationError(Exception):
    """An operation whose rights are not known here."""


Needs = Callable[[Call], list[Check]]


def on(*wanted: str) -> Needs:
    """The action on these resources: the last parts of ARNs, with members of the request in braces.

    A member that has an ARN already is taken as it is; resources whose members the request lacks are left out, and
    without any it is ``*``.
    """

    def needs(call: Call) -> list[Check]:
        named = [
            text
            for text in wanted
            if all(name is None or call.request.get(name) for _, name, _, _ in Formatter().parse(text))
        ]
        found = [_filled(call, text) for text in named]
        return [call.check(one) for one in found] or [call.check("*")]

    return needs


def _filled(call: Call, text: str) -> str:
    for _, name, _, _ in Formatter().parse(text):
        if name and str(call.request[name]).startswith("arn:"):
            return str(call.request[name])
    return call.arn(text.format(**call.request))


ANY = on()


def both(*needs: Needs) -> Needs:
    return lambda call: [check for one in needs for check in one(call)]


def passing(member: str, service: str) -> Needs:
    """``iam:PassRole`` for the role in a member of the request, if it has one."""

    def needs(call: Call) -> list[Check]:
        role = call.request.get(member)
        return [Check("iam:PassRole", role, {"iam:passedtoservice": service})] if role else []

    return needs


def tagging(*wanted: str) -> Needs:
    """Tags given at creation need the right to add tags, too ("dependent actions")."""
    return lambda call: on(*wanted)(replace(call, operation="AddTags")) if call.request.get("Tags") else []
