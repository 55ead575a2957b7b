"""Runs the real CDK command line against the embedded AWS and reads its progress."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import LocalError, WrongFolderError

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SYNTHESIZED = re.compile(r"^✨\s+Synthesis time: (?P<seconds>[\d.]+)s$")
_STARTED = re.compile(r"^(?P<stack>\S+)(?: \(\S+\))?: (?:deploying|creating|destroying)\b")
_ENDED = re.compile(r"^\s*✅\s+(?P<stack>\S+)(?: \(\S+\))?(?P<same> \(no changes\))?\s*$")


@dataclass(frozen=True)
class StackRun:
    """What a deploy did to one stack."""

    name: str
    changed: bool
    seconds: float


def check_app() -> None:
    """:raises WrongFolderError: this is no folder to deploy from."""
    if not Path("cdk.json").is_file():
        raise WrongFolderError("there is no cdk.json here; run this from the folder of the CDK app")


class CdkCli:
    """``cdk`` of this environment, in the folder that holds ``cdk.json``."""

    def __init__(self, *, environment: Mapping[str, str], log: Path, alive: Callable[[], bool]) -> None:
        binary = shutil.which(
            "cdk", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        )
        if binary is None:
            raise LocalError("the CDK command line is not on PATH; run make setup, or: npm install --global aws-cdk")
        self._binary = binary
        # The app is Python: it must find this interpreter first, whatever else is called python.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._environment = {**os.environ, **environment, "PATH": path, "FORCE_COLOR": "0", "NO_COLOR": "1"}
        # A profile would win over the keys; without bytecode the app takes four times as long.
        for unwanted in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "PYTHONDONTWRITEBYTECODE"):
            self._environment.pop(unwanted, None)
        self._log = log
        self._alive = alive

    def bootstrap(self, account: str, region: str) -> None:
        """Prepare the account for deploys, as ``cdk bootstrap`` does on AWS."""
        # In a folder without a cdk.json: where there is an app, the command runs it first, to no end.
        for _ in self._lines(["bootstrap", f"aws://{account}/{region}"], "bootstrap", folder=self._log.parent):
            pass

    def deploy(self, deployment: Path, out: Path, progress: Callable[[str, StackRun | None], None]) -> list[StackRun]:
        """Synthesize a deployment file to ``out`` and deploy every stack.

        ``progress`` hears of each start (``None``) and each end; ``cdk synth`` is the first.
        """
        started: dict[str, float] = {}
        done: list[StackRun] = []
        command = ["deploy", "--all", "--output", str(out), "-c", f"deployment={deployment.absolute()}"]
        command += ["--require-approval", "never", "--concurrency", "4", "--progress", "events"]
        for line in self._lines(command, "deploy"):
            if match := _SYNTHESIZED.match(line):
                progress("cdk synth", StackRun(name="cdk synth", changed=True, seconds=float(match["seconds"])))
            elif (match := _STARTED.match(line)) and match["stack"] not in started:
                started[match["stack"]] = time.monotonic()
                progress(match["stack"], None)
            elif match := _ENDED.match(line):
                stack = match["stack"]
                seconds = time.monotonic() - started.get(stack, time.monotonic())
                run = StackRun(name=stack, changed=not match["same"], seconds=round(seconds, 1))
                done.append(run)
                progress(stack, run)
        return done

    def _lines(self, arguments: list[str], what: str, *, folder: Path | None = None) -> Iterator[str]:
        """The command's output, line by line; a failure is a ``LocalError`` that carries its last words."""
        last: list[str] = []
        with self._process(arguments, folder) as process, self._while_alive(process), self._log.open("a") as log:
            assert process.stdout is not None
            for raw in process.stdout:
                line = _ANSI.sub("", raw.rstrip("\n"))
                log.write(line + "\n")
                last = [*last[-19:], line] if line.strip() else last
                yield line
            if process.wait():
                raise CdkError(what, last, self._log)

    @contextmanager
    def _while_alive(self, process: subprocess.Popen[str]) -> Iterator[None]:
        """Ends the command when AWS is gone: it would go on asking for minutes."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                if not self._alive():
                    os.killpg(process.pid, signal.SIGTERM)
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    @contextmanager
    def _process(self, arguments: list[str], folder: Path | None) -> Iterator[subprocess.Popen[str]]:
        """The command in a process group of its own, which ends with us however we end."""
        process = subprocess.Popen(
            [self._binary, *arguments],
            cwd=folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


class CdkError(LocalError):
    """``cdk`` ended with an error; ``last`` are its last lines."""

    def __init__(self, what: str, last: list[str], log: Path) -> None:
        self.last = last
        reason = next(
            (line.strip() for line in reversed(last) if "rror" in line or "❌" in line), last[-1] if last else ""
        )
        super().__init__(f"cdk {what} failed: {reason} (all of it: {log})")
