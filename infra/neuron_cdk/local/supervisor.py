"""Starts, finds and stops the one embedded AWS of a state folder.

Whoever runs is known by a lock that the server holds for life, so a process id is never trusted on its own: the kernel
releases the lock however the server dies, and a stranger that got the same id later is never signalled.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import environment, ports
from .errors import LocalError, WrongFolderError
from .locking import is_locked, locked

ACCOUNT = "000000000000"
_START_SECONDS = 120.0  # endpoints that come back from the saved state load their models first
_PASSED_ON = ("HF_ENDPOINT", "NEURON_CDK_LOCAL_IAM")  # where jobs find the model hub; what is checked
_STOP_SECONDS = 20.0
_CONTROL_SECONDS = 120.0  # a jump of the clock lives through what happens on the way


@dataclass(frozen=True, slots=True)
class Status:
    """What runs now. ``endpoints`` and ``jobs`` are name to status, ``stacks`` name to CloudFormation status."""

    running: bool
    url: str | None = None
    pid: int | None = None
    stacks: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name to ``{"status": …, "pids": […]}``: the processes that answer, to kill in a test of faults."""


class _EndedError(LocalError):
    """The server was there and is not any more."""


class EmbeddedAws:
    """The embedded AWS whose state lies in ``state_dir``.

    ``port`` 0 takes a free one. When one already runs there, every method speaks to it, whatever port it has.

    :raises WrongFolderError: ``state_dir`` is a file, or lies under one.
    """

    def __init__(self, state_dir: Path, *, port: int = 4566) -> None:
        self.state_dir = state_dir
        self._folder = state_dir.absolute() / "aws"
        for path in (self._folder, *self._folder.parents):
            if os.path.exists(path) and not os.path.isdir(path):  # Path's own raise where one may not look
                raise WrongFolderError(f"the state folder cannot be {state_dir}: {path} is not a folder")
        self._port = port
        self._run = self._folder / "run"
        """Everything temporary: removed when the embedded AWS stops."""

    @property
    def logs_path(self) -> Path:
        return self._folder / "server.log"

    @property
    def url(self) -> str:
        """Where it answers. Raises ``LocalError`` when none runs and the port is not known yet."""
        port = self._server().get("port") or self._port
        if not port:
            raise LocalError("the embedded AWS is not running: start it with neuron-cdk local up")
        return f"http://{ports.HOST}:{port}"

    def environment(self, region: str) -> dict[str, str]:
        """The variables that point every AWS client, the CDK included, at it and at nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": region,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def up(self, *, progress: Callable[[str], object] = str) -> None:
        """Start it with the state saved last and wait until it answers; joins one that runs already.

        ``progress`` is told before long work. Raises ``LocalError``: the port is taken, the environment cannot be
        made, or the server ends.
        """
        with locked(self._folder / "up.lock"):
            if self.is_running():
                with suppress(_EndedError):  # one that is dying is as good as none
                    self._wait_until_ready()
                    return
            python = environment.ensure(progress=progress)
            self._clear()
            progress("starting the embedded AWS")
            try:
                self._start(python)
                self._wait_until_ready()
            except BaseException:  # Ctrl-C included: nothing half-started stays behind
                self._stop()
                raise

    def down(self, *, delete_state: bool = False) -> None:
        """Stop every process and remove everything temporary; with ``delete_state`` forget what was deployed too."""
        with locked(self._folder / "up.lock"):
            self._stop()
        if delete_state:
            shutil.rmtree(self._folder, ignore_errors=True)

    def status(self) -> Status:
        """What runs now. Raises ``LocalError`` when it runs and does not answer."""
        if not self.is_running():
            return Status(running=False)
        told = self._ask(timeout=10)
        return Status(
            running=True,
            url=self.url,
            pid=self._server().get("pid"),
            stacks=told["stacks"],
            jobs=told["jobs"],
            endpoints=told["endpoints"],
        )

    def set_clock(self, *, speed: float | None = None, advance_s: float | None = None) -> float:
        """Let its fleets and schedules live faster, or jump; the time there now, in epoch seconds.

        ``speed`` is how many of its seconds pass in a real one, from now on. ``advance_s`` is how far to jump: it
        returns when what was due on the way has happened. Raises ``LocalError``.
        """
        wanted = {name: value for name, value in (("speed", speed), ("advance_s", advance_s)) if value is not None}
        now: float = self.control("clock", wanted)["now"]
        return now

    def control(self, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Set what only this AWS lets one set (``local.server.status`` lists it), or do it; how it stands then.

        ``control("capacity", {"pools": {"spot": 0}})``: there is no spot capacity. ``control("interrupt", {"instance":
        "i-…"})``: EC2 takes a spot instance. Raises ``LocalError`` with what is wrong.
        """
        method = "POST" if name in ("interrupt", "rebalance") else "PUT"
        return self._ask(name, timeout=_CONTROL_SECONDS, method=method, body=json.dumps(wanted))

    def permissions(self) -> dict[str, Any]:
        """What each role of the templates used of what it was granted, what it never used, and what it was refused.

        ``{"mode": "enforce", "roles": [{"role", "stack", "logical_id", "used", "unused", "refused"}]}``.
        """
        return self._ask("permissions", timeout=10)

    def is_running(self) -> bool:
        """Whether the server lives, answering or not."""
        return is_locked(self._folder / "server.lock")

    def _server(self) -> dict[str, Any]:
        """What the running server wrote about itself; empty when none runs."""
        try:
            return json.loads((self._folder / "server.json").read_text()) if self.is_running() else {}
        except (FileNotFoundError, json.JSONDecodeError):  # it has the lock and is about to write
            return {}

    def _start(self, python: Path) -> None:
        library = self._run / "lib"
        library.mkdir(parents=True)
        (self._run / "tmp").mkdir()
        # A link to this package alone: around it may be a site-packages full of another environment's libraries.
        (library / "neuron_cdk").symlink_to(Path(__file__).resolve().parents[1])
        if self.logs_path.exists():
            self.logs_path.replace(self.logs_path.with_suffix(".previous.log"))
        with ports.listen(self._port) as listener, self.logs_path.open("wb") as log:
            handle = listener.fileno()
            port = listener.getsockname()[1]
            # Returns when the server has put itself in the background, its lock taken and server.json written.
            done = subprocess.run(
                [
                    python,
                    "-m",
                    "neuron_cdk.local.server",
                    "--folder",
                    self._folder,
                    "--listen",
                    str(handle),
                    "--port",
                    str(port),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[handle],
                start_new_session=True,  # a Ctrl-C for the command that started it is not for the server
                cwd=self._run,
                env={
                    "PATH": os.pathsep.join(
                        [str(python.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
                    ),
                    "HOME": os.environ.get("HOME", str(self._run)),
                    "LANG": "C.UTF-8",
                    "TMPDIR": str(self._run / "tmp"),
                    "PYTHONPATH": str(library),
                    **{name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)},
                },
                check=False,
            )
        if done.returncode:
            raise LocalError(f"the embedded AWS cannot start: {self._last_words()}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_running():
                raise _EndedError(f"the embedded AWS ended while it started: {self._last_words()}")
            try:
                if self._ask(timeout=5)["ready"]:
                    return
            except LocalError:
                pass  # it ended, which the next turn says, or it is slow
            time.sleep(0.02)
        raise LocalError(f"the embedded AWS did not start in {_START_SECONDS:.0f} s: see {self.logs_path}")

    def _ask(
        self, name: str = "status", *, timeout: float, method: str = "GET", body: str | None = None
    ) -> dict[str, Any]:
        connection = http.client.HTTPConnection(ports.HOST, self._server().get("port", 0), timeout=timeout)
        try:
            connection.request(method, f"/_neuron_cdk/{name}", body)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise LocalError(f"the embedded AWS does not answer: see {self.logs_path}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise LocalError(f"{name}: {answer['message']}")
        return answer

    def _stop(self) -> None:
        """End what runs, if anything does, and remove everything temporary."""
        for wanted in (signal.SIGTERM, signal.SIGKILL):
            pid = self._server().get("pid")
            if pid:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, wanted)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.is_running() and time.monotonic() < deadline:
                time.sleep(0.02)
        if self.is_running():
            raise LocalError(f"the embedded AWS (pid {pid}) does not end")
        self._clear()

    def _clear(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        # What a killed server leaves ends by itself in less than a second, and may write its last meanwhile.
        while self._run.exists() and time.monotonic() < deadline:
            shutil.rmtree(self._run, ignore_errors=True)
        (self._folder / "server.json").unlink(missing_ok=True)

    def _last_words(self) -> str:
        lines = [line for line in self.logs_path.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"see {self.logs_path}"
