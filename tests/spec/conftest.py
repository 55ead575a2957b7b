"""Deployment files made of snippets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from neuron_cdk.spec import Finding, SpecError, load

REQUIRED = {
    "name": "name: sandbox",
    "environment": 'environment: {account: "111122223333", region: us-east-1}',
    "network": "network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: nat}",
}

Load = Callable[[str], tuple[Finding, ...]]


@pytest.fixture
def whole() -> Callable[[str], str]:
    """Adds the required sections that a snippet does not have, after it."""

    def add(snippet: str) -> str:
        given = set(re.findall(r"^(\w+):", snippet, re.MULTILINE))
        return "\n".join([snippet.rstrip(), *(line for key, line in REQUIRED.items() if key not in given), ""])

    return add


@pytest.fixture
def findings(tmp_path: Path) -> Callable[[str | bytes], tuple[Finding, ...]]:
    """Everything found in a file with this content."""

    def find(content: str | bytes) -> tuple[Finding, ...]:
        path = tmp_path / "deployment.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        try:
            return load(path).findings
        except SpecError as error:
            return error.findings

    return find
