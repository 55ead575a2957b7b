"""The processes of jobs and endpoints: each in a group of its own, none outliving the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_GUARD = str(Path(__file__).with_name("guard.py"))
# Every guard holds the reading end; the kernel closes the writing end with this process.
_LIFE_READ, _LIFE_WRITE = os.pipe()
_running: set[Process] = set()
_lock = threading.Lock()


class Process:
    """A running command; ``output`` is what it prints, both streams in order."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> None:
        report, told = os.pipe()
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", _GUARD, str(_LIFE_READ), str(told), *command],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(_LIFE_READ, told),
                process_group=0,
            )
        finally:
            os.close(told)
        self._report = os.fdopen(report)
        self.pid = int(self._report.readline() or 0)
        """The command's own process id; 0 when it could not be started."""
        assert self._guard.stdout is not None
        self.output: IO[str] = self._guard.stdout
        with _lock:
            _running.add(self)

    @property
    def alive(self) -> bool:
        return self._guard.poll() is None

    def wait(self) -> int:
        """Its exit code, negative for a signal, once it and all it started have ended."""
        self._guard.wait()
        with _lock:
            _running.discard(self)
        if not self._report.closed:
            with self._report, self.output:
                # Nothing is reported when the guard itself was killed, which is how a group is ended by force.
                self._code = int(self._report.readline() or -signal.SIGKILL)
        return self._code

    def stop(self, *, grace: float) -> None:
        """SIGTERM for the command, then SIGKILL for its whole group ``grace`` seconds later if it is still there."""
        self._guard.terminate()
        try:
            self._guard.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the whole group at once."""
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(self._guard.pid, signal.SIGKILL)


def stop_all() -> None:
    """End every process at once; for the end of the server."""
    with _lock:
        remaining = list(_running)
    for process in remaining:
        process.kill()
    for process in remaining:
        process.wait()
