"""Every boot: the steps in order, then the launch lifecycle action.

``STEPS`` in the environment names them; each is a bash script or a Python module beside this file, may run again at any
time and then changes nothing. CONTINUE when all are done, ABANDON at the first that fails: the group takes another
instance. Not done by cloud-init itself, which runs user data at the first boot only (Auto Scaling user guide, "Use
lifecycle hooks with a warm pool"), while an instance out of a warm pool starts again.

Exit status 1 has systemd try again: a step failed and no group waits for an answer, or AWS could not be told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from .instance import RUN, AwsError, complete, kept_waiting, say

HERE = Path(__file__).resolve().parent


def failed_step() -> str:
    """Run the steps; the name of the one that failed, or nothing."""
    for name in os.environ["STEPS"].split():
        script = HERE / f"{name}.sh"
        command = ["bash", str(script)] if script.exists() else [sys.executable, "-m", f"{__package__}.{name}"]
        started = time.monotonic()
        status = subprocess.run(command, check=False).returncode
        if status:
            say(f"boot: {name} failed, status {status}: the lines before this one say why")
            return name
        say(f"boot: {name} done in {time.monotonic() - started:.1f} s")
    return ""


def main() -> int:
    """Boot; the exit status."""
    RUN.mkdir(parents=True, exist_ok=True)
    hook = os.environ.get("LAUNCH_HOOK")
    with kept_waiting(hook):
        failed = failed_step()
        if not failed:
            (RUN / "ready").touch()
        if hook:
            try:
                complete(hook, "Pending", "ABANDON" if failed else "CONTINUE")
            except (AwsError, OSError) as error:
                say(f"boot: the group was not told: {error}")
                return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
