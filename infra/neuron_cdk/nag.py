"""How a cdk-nag finding is accepted: on the smallest construct, by exact id, with the technical reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsii
from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct, IValidation

from .place import is_token, partition


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept findings on this construct and below it: ``{"AwsSolutions-L1": "why AWS leaves no other way"}``."""
    Validations.of(construct).acknowledge(
        *(Acknowledgment(id=finding, reason=reason) for finding, reason in findings.items())
    )


def acknowledge_resources(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept wildcard resources in the policies of a role: ``{arn: reason}``, where an ARN may hold tokens.

    The finding's id spells the ARN as it stands in the template. Where the resource lives in another stack that is
    known only after the CDK has resolved references between stacks, so those are accepted when the tree is validated.
    """
    plain = {arn.replace(partition(), "<AWS::Partition>"): reason for arn, reason in reasons.items()}
    known = {arn: reason for arn, reason in plain.items() if not is_token(arn)}
    if known:
        acknowledge(construct, {_finding(arn): reason for arn, reason in known.items()})
    if len(known) < len(reasons):
        rest = {
            arn: why for arn, spelled, why in zip(reasons, plain, reasons.values(), strict=True) if spelled not in known
        }
        construct.node.add_validation(_WhenResolved(construct, rest))


@jsii.implements(IValidation)
class _WhenResolved:
    def __init__(self, construct: IConstruct, reasons: Mapping[str, str]) -> None:
        self._construct = construct
        self._reasons = reasons

    def validate(self) -> list[str]:
        arns = Stack.of(self._construct).resolve(list(self._reasons))
        acknowledge(
            self._construct,
            {_finding(_spelled(arn)): reason for arn, reason in zip(arns, self._reasons.values(), strict=True)},
        )
        return []


def _finding(arn: str) -> str:
    return f"AwsSolutions-IAM5[Resource::{arn}]"


def _spelled(value: Any) -> str:
    """A resolved ARN as cdk-nag writes it into an id: references in angle brackets, other functions as JSON."""
    match value:
        case str():
            return value
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(_spelled(part) for part in parts)
        case {"Fn::GetAtt": [str(resource), str(attribute)]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": str(name)}:
            return f"<{name}>"
    return json.dumps(value, separators=(",", ":"))
