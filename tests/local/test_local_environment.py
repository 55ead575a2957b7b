"""The embedded AWS's own virtual environment: made once, from the lock, and never half-made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import LocalError, environment


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that an environment in a folder of its own would be made with."""
    commands: list[list[str]] = []

    def run(command: list[str], **keywords: Any) -> Any:
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(environment.subprocess, "run", run)
    return commands


def test_it_is_made_once_from_hashes(installed: list[list[str]], tmp_path: Path) -> None:
    told: list[str] = []

    python = environment.ensure(progress=told.append)
    assert environment.ensure(progress=told.append) == python

    assert tmp_path in python.parents
    assert told == ["preparing the embedded AWS (once)"]
    make, install = installed
    assert make[1:3] == ["-m", "venv"]
    assert "--require-hashes" in install
    assert install[-1].endswith("requirements.lock")


def test_a_new_lock_makes_a_new_one(
    installed: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = environment.ensure()
    lock = tmp_path / "other.lock"
    lock.write_text("ministack==2.0\n")
    monkeypatch.setattr(environment, "_LOCK", lock)

    assert environment.ensure() != first


def test_without_uv_pip_installs(installed: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.shutil, "which", lambda *_, **__: None)

    python = environment.ensure()

    assert installed[-1][:6] == [sys.executable, "-m", "pip", "--python", str(python), "install"]


def test_a_failed_installation_is_one_sentence_and_is_made_again(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = environment.subprocess.run
    failure = subprocess.CompletedProcess([], 1, "", "noise\nerror: no route to the registry\n")
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: failure)

    with pytest.raises(LocalError) as caught:
        environment.ensure()

    assert str(caught.value) == ("the environment of the embedded AWS cannot be made: error: no route to the registry")
    monkeypatch.setattr(environment.subprocess, "run", run)
    environment.ensure()
    assert len(installed) == 2


def test_the_server_imports_nothing_that_its_environment_lacks() -> None:
    """typer, rich, pydantic and the CDK are the other environment's."""
    program = (
        "import sys, pkgutil, importlib, pathlib\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import neuron_cdk.local.server as server\n"
        "for module in pkgutil.walk_packages(server.__path__, 'neuron_cdk.local.server.'):\n"
        "    if module.name.rpartition('.')[2] not in ('__main__', 'guard'):\n"
        "        importlib.import_module(module.name)\n"
        "print(sorted({'typer', 'rich', 'pydantic', 'aws_cdk', 'jsii'} & sys.modules.keys()))\n"
    )
    root = Path(environment.__file__).parents[2]

    done = subprocess.run([environment.ensure(), "-c", program, str(root)], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
