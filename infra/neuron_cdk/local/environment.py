"""The virtual environment the embedded AWS runs in.

ministack pins an exact botocore, which is not the one the CDK side uses, so it gets an environment of its own, made
once beside the environment in use from the lock file, and named after the lock's hash so that a new lock makes a new
one. ``python -m neuron_cdk.local.environment`` makes it and prints its Python.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import LocalError
from .locking import locked

_LOCK = Path(__file__).with_name("requirements.lock")
_READY = "ready"


def ensure(*, progress: Callable[[str], object] = str) -> Path:
    """The environment's Python; makes the environment first if it is missing (uv: a few seconds, pip: a minute).

    ``progress`` is told before long work. Raises ``LocalError`` when the environment cannot be made.
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / f"neuron-cdk-embedded-aws-{digest}"
    python = folder / "bin" / "python"
    # The marker is written last: a folder without it is what an interrupted installation left.
    if (folder / _READY).exists():
        return python
    try:
        with locked(folder.with_suffix(".lock")):
            if not (folder / _READY).exists():
                progress("preparing the embedded AWS (once)")
                _make(folder, python)
                (folder / _READY).touch()
    except OSError as error:
        raise LocalError(
            f"the environment of the embedded AWS cannot be made in {folder.parent}: {error.strerror}"
        ) from error
    return python


def _make(folder: Path, python: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv:
        installer = [uv, "pip", "install", "--quiet", "--python", str(python), "--compile-bytecode"]
    else:
        installer = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
    _run([*installer, "--require-hashes", "-r", str(_LOCK)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise LocalError(
            f"the environment of the embedded AWS cannot be made: {lines[-1].strip() if lines else command[0]}"
        )


if __name__ == "__main__":
    print(ensure())
