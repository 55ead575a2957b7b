"""Running a compiler that is a program of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from ..errors import JobError

_PAUSE_S = 1.0
_STOP_S = 120


def run(
    words: Sequence[str], environment: Mapping[str, str] | None = None, until: Callable[[], bool] | None = None
) -> None:
    """Run a command, its output going where ours goes; it and its children die with us.

    :param environment: all of its variables; by default ours.
    :param until: true when it has done what it is run for, though it would go on: it is then told to stop.
    :raises JobError: when it cannot be run, was killed or failed.
    """
    print("+", *words, flush=True)
    try:
        process = subprocess.Popen(words, env=environment, start_new_session=True)
    except FileNotFoundError:
        raise JobError(f"there is no {words[0]} on PATH: the job's image is not the engine's image") from None
    try:
        status = process.wait() if until is None else _wait(process, until)
    finally:
        # Some of these start the compiler as a child of a shell of theirs, or workers.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # A shell between us and the compiler says 128 + 9 for a child of its own that was killed.
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        raise JobError(f"{words[0]} was killed (signal 9), most likely for want of memory")
    if status != 0:
        raise JobError(f"{words[0]} ended with status {status}; what it said is above")


def _wait(process: subprocess.Popen[bytes], until: Callable[[], bool]) -> int:
    while (status := process.poll()) is None:
        if until():
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            return 0
        time.sleep(_PAUSE_S)
    return status
