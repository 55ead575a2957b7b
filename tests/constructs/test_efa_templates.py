"""Launch templates of every EFA type in both layouts: what is documented, and what CloudFormation's own rules take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ec2 as ec2

from neuron_cdk.network.efa import network_interfaces
from tests.catalog.test_efa_interfaces import DOCUMENTED
from tests.constructs.conftest import FLAGS

LAYOUTS = ("efa", "efa-only")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One stack with a launch template each. Synth checks it against CloudFormation's schemas and fails otherwise."""
    assert FLAGS["@aws-cdk/core:validateAgainstDefaultRules"] is True
    app = App(analytics_reporting=False, context=FLAGS, outdir=str(tmp_path_factory.mktemp("efa")))
    stack = Stack(app, "Efa", env=Environment(account="111122223333", region="us-east-1"))
    for name in DOCUMENTED:
        for layout in LAYOUTS:
            interfaces = network_interfaces(name, layout=layout, security_group_id="sg-0123456789abcdef0")
            data: dict[str, Any] = {"instanceType": name, "networkInterfaces": interfaces}
            ec2.CfnLaunchTemplate(
                stack, f"{name} {layout}", launch_template_data=data, launch_template_name=f"{name}.{layout}"
            )
    return Path(app.synth().directory) / "Efa.template.json"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_launch_template_has_the_documented_interfaces(name: str, layout: str, template: Path) -> None:
    launched = [
        resource["Properties"]["LaunchTemplateData"]["NetworkInterfaces"]
        for resource in json.loads(template.read_text())["Resources"].values()
        if resource["Properties"]["LaunchTemplateName"] == f"{name}.{layout}"
    ]
    assert [
        (each["NetworkCardIndex"], each["DeviceIndex"], each["InterfaceType"]) for each in launched[0]
    ] == DOCUMENTED[name][LAYOUTS.index(layout)]


def test_cfn_lint_takes_them_all(template: Path) -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [
            lint,
            "--regions",
            "us-east-1",
            "--non-zero-exit-code",
            "error",
            "--ignore-checks",
            "W",
            "E3628",
            "--",
            template,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
