"""docs/security.md says what the templates say: every accepted finding with its reason, and none that is gone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
CHECKOV = Path(sys.prefix) / "checkov" / "bin" / "checkov"


def table(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, row by row."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.fixture(scope="session")
def acknowledged(assemblies):
    """Every accepted finding of every deployment: {finding without its resource: reasons}."""
    found: dict[str, set[str]] = {}
    for assembly in assemblies:
        for _, finding, reason in assembly.acknowledged():
            found.setdefault(finding.partition("[")[0], set()).add(reason)
    return found


def test_every_wildcards_reason_is_on_the_page_and_no_other(acknowledged):
    assert {reason for _, _, reason in table("Wildcards")} == acknowledged["AwsSolutions-IAM5"]


def test_every_other_accepted_finding_is_on_the_page_and_no_other(acknowledged):
    others = {(finding, reason) for finding, reasons in acknowledged.items() for reason in reasons}
    others -= {("AwsSolutions-IAM5", reason) for reason in acknowledged["AwsSolutions-IAM5"]}
    assert {(finding, reason) for finding, _, reason in table("cdk-nag")} == others


@pytest.fixture(scope="session")
def checkov(assembly) -> dict:
    """checkov's report on the production templates: CloudFormation rules only, from its own environment, offline."""
    if not CHECKOV.exists():
        pytest.fail(f"checkov is not in its environment, {CHECKOV.parents[1]}: run make setup")
    options = ["--framework", "cloudformation", "--output", "json", "--quiet", "--compact", "--skip-download"]
    done = subprocess.run(
        [CHECKOV, "--directory", assembly("production").folder, *options],
        env={"PATH": os.defpath, "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stderr
    return json.loads(done.stdout)


def test_checkov_reads_the_templates_whole(checkov):
    assert checkov["summary"]["parsing_errors"] == 0
    assert checkov["summary"]["resource_count"] > 100


def test_what_checkov_fails_is_explained_and_nothing_else(checkov):
    failing = {check["check_id"] for check in checkov["results"]["failed_checks"]}
    assert {check for check, _, _ in table("checkov")} == failing


def test_at_most_five_checks_are_accepted():
    assert len(table("checkov")) <= 5


def test_every_explanation_says_something():
    assert all(len(reason) > 40 for _, _, reason in table("checkov"))
