"""systemctl, for units of one command: reads the unit file, keeps pid, exit status and output of each."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["INSTANCE_ROOT"])
UNITS = ROOT / "etc/systemd/system"
STATE = ROOT / "systemd"


def setting(unit: str, name: str) -> str:
    lines = (UNITS / unit).read_text().splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), "")


def environment(unit: str) -> dict[str, str]:
    words = shlex.split(Path(setting(unit, "EnvironmentFile")).read_text())
    return {**os.environ, **dict(word.split("=", 1) for word in words)}


def group(unit: str) -> int:
    file = STATE / f"{unit}.pid"
    return int(file.read_text()) if file.exists() else 0


def active(unit: str) -> bool:
    try:
        os.killpg(group(unit), 0) if group(unit) else None
    except ProcessLookupError:
        return False
    return bool(group(unit))


def start(unit: str) -> None:
    if active(unit):
        return
    (STATE / f"{unit}.status").unlink(missing_ok=True)
    command = ["bash", "-c", f'"$@"; echo $? > {STATE}/{unit}.tmp; mv {STATE}/{unit}.tmp {STATE}/{unit}.status', unit]
    with (STATE / f"{unit}.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *shlex.split(setting(unit, "ExecStart"))],
            env=environment(unit),
            cwd=setting(unit, "WorkingDirectory") or None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (STATE / f"{unit}.pid").write_text(str(process.pid))


def stop(unit: str) -> None:
    if setting(unit, "ExecStop"):
        subprocess.run(shlex.split(setting(unit, "ExecStop")), check=False)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(50):
            if not active(unit):
                break
            if _ == 0:
                os.killpg(group(unit), sent)
            time.sleep(0.1)
    (STATE / f"{unit}.pid").unlink(missing_ok=True)


verb, *words = sys.argv[1:]
units = [word for word in words if not word.startswith("-")]
STATE.mkdir(exist_ok=True)
with (STATE / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if verb in ("start", "stop", "restart"):
    for each in units:
        if verb != "start":
            stop(each)
        if verb != "stop":
            start(each)
elif verb == "is-active":
    sys.exit(0 if all((UNITS / each).exists() and active(each) for each in units) else 3)
elif verb not in ("daemon-reload", "enable"):
    sys.exit(f"systemctl: unknown {verb}")
