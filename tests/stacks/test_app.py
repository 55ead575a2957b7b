"""``app.py`` as people and pipelines start it: alone, from elsewhere, wrongly, under the CDK's command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "app.py"
CDK = Path(sys.executable).with_name("cdk")


@pytest.fixture(scope="session")
def bare_environment(tmp_path_factory) -> dict[str, str]:
    """Neither credentials nor a home to find any in, and no way to ask an instance for them."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }


@pytest.fixture(scope="session")
def run(bare_environment, tmp_path_factory):
    """``run(CDK_OUTDIR=…)``: ``app.py`` in a process of its own, from a folder that is not the repository's."""

    def start(*, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(APP)],
            cwd=cwd or tmp_path_factory.mktemp("elsewhere"),
            env={**bare_environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def context(deployment: Path | str) -> str:
    return json.dumps({"deployment": str(deployment)})


# -- wrong input ---------------------------------------------------------------------------------------------------


def test_without_a_deployment_the_files_are_listed_as_they_are_to_be_typed(run):
    done = run(cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "no deployment file: say which with -c deployment=FILE",
        "  -c deployment=deployments/local.yaml",
        "  -c deployment=deployments/production.yaml",
        "  -c deployment=deployments/sandbox.yaml",
    ]


def test_a_file_that_is_not_there_is_one_message(run):
    done = run(CDK_CONTEXT_JSON=context("nowhere.yaml"))
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_with_an_error_is_refused_with_its_code(run, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((ROOT / "deployments" / "sandbox.yaml").read_text().replace("target: inf2", "target: inf9", 1))
    done = run(CDK_CONTEXT_JSON=context(wrong))
    assert done.returncode == 2
    assert "NCDK-" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_not_built_yet_is_an_error_never_left_out(run, tmp_path):
    later = tmp_path / "later.yaml"
    later.write_text(
        (ROOT / "deployments" / "sandbox.yaml").read_text() + "\nbudget: {monthly_usd: 10, notify: [a@b.org]}\n"
    )
    done = run(CDK_CONTEXT_JSON=context(later), CDK_OUTDIR=str(tmp_path / "out"))
    assert done.returncode == 2
    assert "NCDK-LATER-" in done.stderr
    assert "budget" in done.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_path_is_relative_to_the_folder_one_is_in(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: sandbox\nflavour: sweet\n")
    assert "flavour" in run(cwd=tmp_path, CDK_CONTEXT_JSON=context("mine.yaml")).stderr


# -- alone ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def synthesized_alone(run, tmp_path_factory) -> Path:
    """The production file, by an absolute path, from another folder, hashing its own way, without assertions."""
    out = tmp_path_factory.mktemp("out")
    deployment = ROOT / "deployments" / "production.yaml"
    done = run(CDK_CONTEXT_JSON=context(deployment), CDK_OUTDIR=str(out), PYTHONHASHSEED="1", PYTHONOPTIMIZE="1")
    assert done.returncode == 0, done.stderr
    return out


def test_alone_it_writes_where_it_is_told(synthesized_alone):
    assert (synthesized_alone / "production-Artifacts.template.json").is_file()


def test_neither_folder_nor_hash_seed_nor_missing_assertions_leave_a_trace(synthesized_alone, assembly, read_assembly):
    alone, here = read_assembly(synthesized_alone), assembly("production")
    assert [file.name for file in alone.files] == [file.name for file in here.files]
    for one, other in zip(alone.files, here.files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


# -- under the CDK's command line ----------------------------------------------------------------------------------


def test_the_cdk_lists_every_stack_without_credentials(bare_environment, assembly, tmp_path):
    done = subprocess.run(
        [CDK, "ls", "-c", "deployment=deployments/sandbox.yaml", "--output", str(tmp_path / "out")],
        cwd=ROOT,
        env=bare_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(assembly("sandbox").templates)
