"""``doctor`` and ``fleets`` where AWS is out of reach: one line, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION, LOCAL = "deployments/production.yaml", "deployments/local.yaml"
COMMANDS = [
    ["doctor", "FILE"],
    ["fleets", "list", "FILE"],
    ["fleets", "scale", "FILE", "serve", "2"],
]
EVERY_COMMAND = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``neuron-cdk`` in a shell that is logged in nowhere."""

    def start(command: list[str], file: str, **variables: str) -> subprocess.CompletedProcess[str]:
        script = f"import sys; sys.path.insert(0, {str(ROOT / 'infra')!r}); import neuron_cdk.cli as cli; cli.main()"
        bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
        return subprocess.run(
            [sys.executable, "-c", script, *[file if word == "FILE" else word for word in command]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            env=bare | variables,
        )

    return start


@EVERY_COMMAND
def test_a_file_that_is_not_valid_is_2(command: list[str], run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: Broken\n")

    done = run(command, str(broken))

    assert done.returncode == 2
    assert "NCDK-NAME-001" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{broken}: not valid, ")
    assert done.stderr == ""


@EVERY_COMMAND
def test_a_missing_file_is_2(command: list[str], run: Run) -> None:
    done = run(command, "nowhere.yaml")

    assert done.returncode == 2
    assert done.stdout == "nowhere.yaml: error NCDK-FILE-001 the file cannot be read: no such file or directory\n"


@EVERY_COMMAND
def test_no_embedded_aws_is_1_and_says_how_to_start_one(command: list[str], run: Run, tmp_path: Path) -> None:
    done = run([*command, "--state", str(tmp_path)], LOCAL)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"neuron-cdk: the file is for account 000000000000, the embedded AWS, and none runs in {tmp_path}: "
        "start it with neuron-cdk local up, or name its folder with --state\n"
    )


@EVERY_COMMAND
def test_no_credentials_is_1(command: list[str], run: Run) -> None:
    done = run(command, PRODUCTION)

    assert done.returncode == 1
    assert "there are no credentials" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@EVERY_COMMAND
def test_a_profile_that_is_not_there_is_1_and_one_line(command: list[str], run: Run) -> None:
    done = run(command, PRODUCTION, AWS_PROFILE="nobody")

    assert done.returncode == 1
    assert done.stderr == "neuron-cdk: The config profile (nobody) could not be found\n"


@EVERY_COMMAND
def test_no_way_to_aws_is_1(command: list[str], run: Run) -> None:
    key = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    done = run(command, PRODUCTION, AWS_ENDPOINT_URL="http://127.0.0.1:1", **key)

    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_doctors_json_is_json_however_it_ends(run: Run) -> None:
    done = run(["doctor", "FILE", "--json"], PRODUCTION)

    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"]) == (1, False)
    assert told["findings"][0]["code"] == "NCDK-DOCTOR-001"


def test_a_negative_size_is_2(run: Run) -> None:
    assert run(["fleets", "scale", "FILE", "serve", "--", "-1"], PRODUCTION).returncode == 2
