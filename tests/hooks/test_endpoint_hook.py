"""An endpoint's hook as a function: what it tries again, tells CloudFormation, logs, remembers and imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import KEY, TRACK, Deployment, smoke, target
from tests.hooks.fleet_aws import error

ROOT = Path(__file__).resolve().parents[2] / "lambda"


def test_what_may_pass_is_tried_again_before_cloudformation_is_told(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.fault, stack.aws.faulty = "throttled", 3
    assert stack.send("InService", "Create", one)["Status"] == "SUCCESS"


def test_what_does_not_pass_is_told_with_aws_own_words(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.describe_model = lambda **_: (_ for _ in ()).throw(error("AccessDeniedException", "DescribeModel", "no"))  # type: ignore[method-assign]
    answer = stack.send("InService", "Create", one)
    assert answer["Status"] == "FAILED"
    assert "AccessDeniedException" in answer["Reason"]


def test_a_failed_update_keeps_the_physical_id(stack: Deployment) -> None:
    one = stack.declared(1)
    assert stack.send("InService", "Update", one, one)["PhysicalResourceId"] == NAME


def test_a_declaration_that_cannot_be_read_is_told(stack: Deployment) -> None:
    answer = stack.create({**stack.declared(1), "Declaration": "{}"})
    assert "Declaration cannot be read (KeyError: 'variants')" in answer["Reason"]


def test_every_decision_is_a_line(stack: Deployment, decisions: Callable[[], list[dict[str, Any]]]) -> None:
    stack.create(stack.declared(1, target("Main", TRACK), tests=[smoke()]))
    assert [line["decision"] for line in decisions()] == [
        "nothing to change",
        "smoke test",
        "scaling settled",
        "in service",
    ]


def test_the_records_key_is_the_endpoints(stack: Deployment) -> None:
    stack.create(stack.declared(1))
    assert set(stack.aws.items) == {KEY}


def test_the_hook_imports_nothing_but_boto3_and_the_standard_library(environment: None) -> None:
    program = (
        "import sys, boto3; had = set(sys.modules); import neuron_hooks.endpoint.hook; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - had} - sys.stdlib_module_names - {'neuron_hooks'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "ENDPOINT_KEY": NAME},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []
