"""The wheel: what it carries, and that somebody else's repository works with it alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(folder: str) -> set[str]:
    """The files of a folder that git knows or would take, with paths below the folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = (Path(line) for line in listed.stdout.splitlines())
    return {str(file.relative_to(folder)) for file in files if (ROOT / file).is_file()}


@pytest.fixture(scope="session")
def carried(wheel) -> set[str]:
    """Every file of the wheel but what describes the package."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_it_carries_the_library_the_stacks_and_the_code_for_aws_and_nothing_else(carried):
    expected = {f"neuron_cdk/{file}" for file in tracked("infra/neuron_cdk")}
    expected |= {f"neuron_cdk/stacks/{file}" for file in tracked("stacks")}
    expected |= {f"neuron_cdk/_lambda/{file}" for file in tracked("lambda")}
    assert carried == expected


@pytest.mark.parametrize(
    "file",
    [
        "neuron_cdk/py.typed",
        "neuron_cdk/catalog/data/instances.json",
        "neuron_cdk/local/requirements.lock",
        "neuron_cdk/fleet/boot/server.sh",
        "neuron_cdk/fleet/boot/neuron-boot.service",
        "neuron_cdk/stacks/app.py",
        "neuron_cdk/_lambda/neuron_hooks/compile/begin_compile.py",
        "neuron_cdk/_lambda/neuron_hooks/fleet/scaling_rules.py",
        "neuron_cdk/_lambda/neuron_jobs/compile.py",
    ],
)
def test_what_is_read_at_run_time_is_in_it(carried, file):
    assert file in carried


def test_it_declares_what_it_imports_its_licence_and_its_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        about = archive.read(metadata).decode()
        assert metadata.replace("METADATA", "licenses/LICENSE") in archive.namelist()
        commands = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert "neuron-cdk = neuron_cdk.cli:main" in commands
    required = set(re.findall(r"^Requires-Dist: ([A-Za-z0-9-]+)", about, re.MULTILINE))
    assert required == {"aws-cdk-lib", "boto3", "constructs", "pydantic", "pyyaml", "rich", "typer"}


def test_a_consumers_app_synthesizes_from_its_own_folder(installed, tmp_path):
    consumer = shutil.copytree(ROOT / "examples" / "consumer", tmp_path / "consumer")
    done = installed.run(installed.python, "app.py", cwd=consumer, CDK_OUTDIR="out")
    assert done.returncode == 0, done.stderr
    template = json.loads((consumer / "out" / "Ranking.template.json").read_text())
    made = [resource["Type"] for resource in template["Resources"].values()]
    assert made.count("Custom::NeuronCompiledModel") == 1
    assert made.count("AWS::SageMaker::Endpoint") == 1
    (launch,) = (
        resource["Properties"]["LaunchTemplateData"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::EC2::LaunchTemplate"
    )
    assert [interface["InterfaceType"] for interface in launch["NetworkInterfaces"]] == ["efa"] * 8


def test_the_code_of_the_hooks_is_the_same_asset_from_a_wheel_and_from_the_checkout(installed, tmp_path):
    """An upgrade that only moves from one to the other must not touch a function."""
    fingerprint = (
        "from aws_cdk import FileSystem, IgnoreMode\n"
        "from neuron_cdk.assets import lambda_root, only\n"
        "print(FileSystem.fingerprint(str(lambda_root()), exclude=only('neuron_hooks'), ignore_mode=IgnoreMode.GIT))\n"
    )
    from_wheel = installed.run(installed.python, "-c", fingerprint, cwd=tmp_path)
    assert from_wheel.returncode == 0, from_wheel.stderr

    from aws_cdk import FileSystem, IgnoreMode

    from neuron_cdk.assets import lambda_root, only

    here = FileSystem.fingerprint(str(lambda_root()), exclude=only("neuron_hooks"), ignore_mode=IgnoreMode.GIT)
    assert from_wheel.stdout.strip() == here


def test_the_stacks_come_with_it(installed, tmp_path):
    script = (
        "from pathlib import Path\n"
        "from neuron_cdk import spec\n"
        "from neuron_cdk.stacks import build_app\n"
        f"loaded = spec.load(Path({str(ROOT / 'deployments' / 'sandbox.yaml')!r}))\n"
        "app = build_app(loaded.deployment, outdir='out')\n"
        "print(*sorted(stack.stack_name for stack in app.synth().stacks_recursively))\n"
    )
    done = installed.run(installed.python, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sandbox-Fleet-pretrain" in done.stdout.split()


def test_importing_the_package_loads_no_cdk(installed, tmp_path):
    loaded = "import sys, neuron_cdk.spec, neuron_cdk.catalog; print('aws_cdk' in sys.modules, 'jsii' in sys.modules)"
    done = installed.run(installed.python, "-c", loaded, cwd=tmp_path)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_the_command_validates_a_file(installed, tmp_path):
    shutil.copy(ROOT / "deployments" / "production.yaml", tmp_path)
    done = installed.run("neuron-cdk", "validate", "production.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "production.yaml: valid" in done.stdout


def test_the_embedded_aws_runs_from_it(installed, tmp_path):
    local = ("neuron-cdk", "local")
    up = installed.run(*local, "up", "--state", "state", "--port", "0", cwd=tmp_path)
    try:
        assert up.returncode == 0, up.stderr
        status = json.loads(installed.run(*local, "status", "--state", "state", "--json", cwd=tmp_path).stdout)
        assert status["running"]
        assert status["url"] == up.stdout.strip()
    finally:
        installed.run(*local, "down", "--state", "state", "--delete-state", cwd=tmp_path)


def test_a_type_checker_takes_the_packages_types(installed, tmp_path):
    """``py.typed`` is there, and what a consumer's editor sees of the constructs is complete."""
    (tmp_path / "uses.py").write_text(
        "from neuron_cdk import NeuronFleet, spec\n"
        "size: spec.Size = spec.Size(min=0, max=4)\n"
        "reveal_type(NeuronFleet.metric_neuroncore_utilization)\n"
    )
    from mypy import api

    out, _, _ = api.run(["--strict", "--python-executable", str(installed.python), str(tmp_path / "uses.py")])
    assert 'Revealed type is "def (self: neuron_cdk.fleet.fleet.NeuronFleet)' in out, out
