"""cdk-nag's AwsSolutions rules over every deployment: synth fails on a finding that nobody gave a reason for."""

from __future__ import annotations

import json

import pytest
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks


def test_every_finding_is_fixed_or_explained(unsynthesized, tmp_path):
    Validations.of(unsynthesized).add_plugins(AwsSolutionsChecks(unsynthesized))
    try:
        unsynthesized.synth()
    except RuntimeError:
        pytest.fail(findings(tmp_path))


def findings(folder) -> str:
    report = json.loads((folder / "validation-report.json").read_text())
    return "\n".join(
        f"{violation['ruleName']}: {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    )
