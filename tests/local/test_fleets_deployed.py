"""A fleet on the embedded AWS by hand: the doctor, a deploy by the CDK, another size, instances in service."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("neuron-cdk")

FILE = """\
name: byhand
environment: {account: "000000000000", region: us-east-1}
network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: endpoints-only}
fleets:
  serve:
    purpose: inference
    instance_types: [inf2.xlarge, inf2.8xlarge]
    size: {min: 1, max: 4}
    capacity: [{kind: spot}, {kind: on-demand, base: 1}]
"""


def test_the_doctor_lets_it_pass_the_cdk_deploys_it_and_the_controller_scales_it(
    own_aws: EmbeddedAws, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    file = tmp_path / "byhand.yaml"
    file.write_text(FILE)
    own_aws.up()

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words, "--state", own_aws.state_dir], cwd=ROOT, capture_output=True, text=True, timeout=300
        )

    def show() -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(run("fleets", "show", str(file), "serve", "--json").stdout)
        return shown

    examined = run("doctor", str(file))
    assert (examined.returncode, examined.stdout) == (0, f"{file}: ready to deploy\n")
    deployed = run("local", "deploy", str(file), "--port", "0", "--json")
    assert deployed.returncode == 0, deployed.stderr
    faster = urllib.request.Request(f"{own_aws.url}/_neuron_cdk/clock", b'{"speed": 60}', method="PUT")
    urllib.request.urlopen(faster, timeout=10).close()

    scaled = run("fleets", "scale", str(file), "serve", "3")

    assert scaled.stdout == "serve: target 3, was 1\n", scaled.stderr
    eventually(lambda: show()["in_service"] == 3)
    fleet = show()
    assert {pool["name"]: pool["in_service"] for pool in fleet["pools"]} == {"spot": 2, "on-demand": 1}
    refused = run("fleets", "scale", str(file), "serve", "9")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith("a target of 9 is not within 1 to 4, the limits in force")
