"""Names that must be known before what they name exists (``docs/adr/0012-alarms-and-endpoint-names.md``)."""

from __future__ import annotations

import hashlib
import re

from aws_cdk import Stack
from constructs import Construct

from ..place import is_token

_LONGEST = 63  # EndpointName and InferenceComponentName alike
_DIGITS = 8
_RELEASE = 9  # "-" and a release's id


def endpoint_name(scope: Construct, *, released: bool = False) -> str:
    """The name of an endpoint: its stack's, and a digest of that and its place in the tree.

    Lower-case, as SageMaker writes names into ARNs, so that a policy's ARN is the one that is asked for.

    :param released: by the release pipeline: its models and configurations are called as it is, with the release's id.
        Another name than CloudFormation's would have, since either would delete the other's when it changes hands.
    """
    path, stack = scope.node.path, Stack.of(scope).stack_name
    if is_token(stack):  # a nested stack's: CloudFormation makes it up
        stack = path
    if released:
        return _name(stack, f"{stack}/{path}/released", _LONGEST - _RELEASE)
    return _name(stack, f"{stack}/{path}")


def component_name(endpoint: str, model: str) -> str:
    """The name of a model's component of an endpoint."""
    return _name(model, f"{endpoint}/{model}")


def _name(readable: str, unique: str, longest: int = _LONGEST) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", readable.lower())[: longest - _DIGITS - 1].strip("-")
    return f"{words}-{hashlib.sha256(unique.encode()).hexdigest()[:_DIGITS]}"
