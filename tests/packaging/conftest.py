"""The wheel, built once a session, and an environment that holds it and what it requires and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command with nothing around it that leads to the checkout or to an account."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "VIRTUAL"))}
        node = Path(sys.executable).parent  # jsii needs a node; any will do
        path = os.pathsep.join([str(self.folder / "bin"), str(node), os.defpath])
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env={**kept, "PATH": path, "AWS_EC2_METADATA_DISABLED": "true", **variables},
            capture_output=True,
            text=True,
            check=False,
        )


def _done(*command: object, cwd: Path) -> None:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    _done(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = Installed(tmp_path_factory.mktemp("installed") / "venv")
    uv = Path(sys.executable).with_name("uv")
    _done(sys.executable, "-m", "venv", "--without-pip", environment.folder, cwd=wheel.parent)
    # The versions this checkout is tested with: what a package published tomorrow breaks is not this test's question.
    constraints = ["--constraint", ROOT / "requirements.lock"]
    _done(uv, "pip", "install", "--quiet", "--python", environment.python, *constraints, wheel, cwd=wheel.parent)
    return environment
