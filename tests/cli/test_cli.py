"""The command as a process: what it prints, how it ends, what it loads, how long it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION = str(ROOT / "deployments" / "production.yaml")

BROKEN = """\
name: Broken
environment: {account: "111122223333", region: us-east-1}
network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: nat}
"""


def run(*words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """``neuron-cdk`` with these words, as the console script runs it."""
    lines = ["import sys", f"sys.path.insert(0, {str(ROOT / 'infra')!r})", before, "import neuron_cdk.cli as cli"]
    script = "\n".join([*lines, "cli.main()"])
    return subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    return str(path)


def test_version() -> None:
    from neuron_cdk import __version__

    assert run("--version").stdout == f"neuron-cdk {__version__}\n"


def test_a_valid_file_ends_with_a_summary_and_0() -> None:
    done = run("validate", PRODUCTION)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith(f"{PRODUCTION}: valid")


def test_an_invalid_file_shows_findings_a_summary_and_2(broken: str) -> None:
    done = run("validate", broken)

    assert done.returncode == 2
    assert done.stdout == (
        f"{broken}:1:7: error NCDK-NAME-001 name: this is not a name that can prefix stack names\n"
        "    given:   Broken\n"
        "    allowed: a lower-case letter, then up to 19 lower-case letters, digits and hyphens\n"
        f"{broken}: not valid, 1 error\n"
    )
    assert done.stderr == ""


def test_a_missing_file_is_one_line_and_2() -> None:
    done = run("validate", "nowhere.yaml")

    assert done.returncode == 2
    assert done.stdout == "nowhere.yaml: error NCDK-FILE-001 the file cannot be read: no such file or directory\n"


def test_several_files_are_all_shown_and_one_bad_one_is_enough(broken: str) -> None:
    done = run("validate", broken, PRODUCTION)

    assert done.returncode == 2
    assert f"{broken}: not valid" in done.stdout
    assert f"{PRODUCTION}: valid" in done.stdout


def test_json_is_one_object_a_file_and_line(broken: str) -> None:
    done = run("validate", "--json", broken, PRODUCTION)

    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 2
    assert (first["file"], first["valid"], second["valid"]) == (broken, False, True)
    assert first["findings"] == [
        {
            "code": "NCDK-NAME-001",
            "severity": "error",
            "message": "this is not a name that can prefix stack names",
            "file": broken,
            "line": 1,
            "column": 7,
            "pointer": "name",
            "given": "Broken",
            "allowed": "a lower-case letter, then up to 19 lower-case letters, digits and hyphens",
            "fix": "",
        }
    ]


def test_json_of_a_missing_file_is_still_json() -> None:
    done = run("validate", "--json", "nowhere.yaml")

    assert done.returncode == 2
    assert json.loads(done.stdout)["findings"][0]["code"] == "NCDK-FILE-001"


def test_no_file_at_all_is_a_usage_error() -> None:
    assert run("validate").returncode == 2


def test_schema_prints_json() -> None:
    done = run("schema")

    assert done.returncode == 0
    assert json.loads(done.stdout)["title"] == "neuron-cdk deployment file"


def test_validate_loads_neither_the_cdk_nor_boto3_nor_the_embedded_aws() -> None:
    watch = (
        "import atexit; atexit.register(lambda: print(sorted("
        "{'jsii', 'aws_cdk', 'boto3', 'botocore', 'rich', 'neuron_cdk.local', 'neuron_cdk.doctor'}"
        " & set(sys.modules)), file=sys.stderr))"
    )
    done = run("validate", PRODUCTION, before=watch)

    assert done.returncode == 0
    assert done.stderr == "[]\n"


def test_help_lists_every_command() -> None:
    assert {"validate", "schema", "doctor", "fleets", "local"} <= set(run("--help").stdout.split())


def test_the_local_commands_are_mounted() -> None:
    done = run("local", "--help")

    assert done.returncode == 0
    assert {"up", "down", "status", "logs"} <= set(done.stdout.split())


def test_what_the_page_of_the_embedded_aws_exports_is_all_that_boto3_needs(tmp_path: Path) -> None:
    lines = (ROOT / "docs" / "local.md").read_text().splitlines()
    words = [word for line in lines if line.startswith("$ export ") for word in line.split()[2:]]
    script = "import boto3; print(boto3.client('cloudformation').meta.endpoint_url)"
    environment = {"HOME": str(tmp_path), **dict(word.split("=", 1) for word in words)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)

    assert done.stdout == "http://127.0.0.1:4566\n", done.stderr
