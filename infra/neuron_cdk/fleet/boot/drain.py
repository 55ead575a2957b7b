"""The instance's end, from inside: it sees that it is to go, lets what is under way finish, and then lets itself go.

Every five seconds three items of the instance metadata are read (by IMDSv2):

- ``autoscaling/target-lifecycle-state``: ``Terminated`` while the group holds the instance in ``Terminating:Wait``
  (Auto Scaling user guide, "Retrieve the target lifecycle state through instance metadata");
- ``spot/instance-action``: EC2 takes the instance back in two minutes (EC2 user guide, "Spot Instance interruption
  notices");
- ``events/recommendations/rebalance``: it may soon. Nothing is drained for that: most such instances live on, and who
  has a replacement (the fleet's controller hears of it too) terminates this one, which is the first case. What should
  happen all the same, a checkpoint say, is an executable in ``/opt/neuron-cdk/rebalance.d``; one that touches
  ``/run/neuron-cdk/draining`` has the load balancer send no more work.

To drain: /ping says 503; when the load balancer has seen it, the requests under way finish, at most DRAIN_SECONDS; the
server is stopped; the executables of ``/opt/neuron-cdk/drain.d`` run; the terminate lifecycle action is completed.
Begun again from the start when this program is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from . import server
from .instance import PAUSE_S, RUN, AwsError, complete, kept_waiting, metadata, say

HOOKS = Path("/opt/neuron-cdk")
# The load balancer asks every 10 s and believes the third answer.
LEAVE_S = 35.0
# Left for stopping and for drain.d when EC2 will not wait.
RESERVE_S = 30.0
SCRIPT_S = 3600.0


def notice() -> tuple[str, float | None]:
    """Why the instance must go and how many seconds it has (None: until we are done); an empty reason when it stays."""
    if metadata("autoscaling/target-lifecycle-state") == "Terminated":
        return "the group terminates it", None
    action = metadata("spot/instance-action")
    if action is None:
        return "", None
    document = json.loads(action)
    at = datetime.strptime(document["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return f"spot: {document['action']} at {document['time']}", (at - datetime.now(timezone.utc)).total_seconds()


def drain(reason: str, seconds: float | None) -> None:
    """Everything but the lifecycle action."""
    say(f"drain: {reason}")
    (RUN / "draining").touch()
    if "PORT" in os.environ:
        limit = float(os.environ["DRAIN_SECONDS"])
        limit = limit if seconds is None else max(0.0, min(limit, seconds - RESERVE_S))
        say("drain: no request is under way" if finish(limit) else f"drain: not done in {limit:.0f} s, stopped anyway")
        subprocess.run(["systemctl", "stop", "neuron-server.service"], check=False)
    run_all("drain.d")
    (RUN / "drained").touch()


def finish(limit: float) -> bool:
    """Wait until the load balancer sends nothing more and nothing is under way; whether that was so in time."""
    started = time.monotonic()
    quiet = 0
    while time.monotonic() - started < limit:
        time.sleep(min(PAUSE_S, 1))
        quiet = quiet + 1 if server.under_way() == 0 else 0
        if quiet >= 2 and time.monotonic() - started >= LEAVE_S:
            return True
    return False


def run_all(folder: str) -> None:
    """The executables of a folder, by name; one that fails is told of and holds up nobody."""
    for script in sorted((HOOKS / folder).glob("*")):
        try:
            subprocess.run([str(script)], check=True, timeout=SCRIPT_S)
            say(f"drain: {folder}/{script.name} done")
        except (OSError, subprocess.SubprocessError) as error:
            say(f"drain: {folder}/{script.name}: {error}")


def step() -> bool:
    """Look once, do what is to be done; true when the instance's life is over."""
    hook = os.environ.get("TERMINATE_HOOK")
    reason, seconds = notice()
    if not reason:
        if metadata("events/recommendations/rebalance") and not (RUN / "rebalance").exists():
            say("drain: EC2 recommends to rebalance")
            (RUN / "rebalance").touch()
            run_all("rebalance.d")
        return False
    ends = seconds is None
    with kept_waiting(hook if ends else None):
        if not (RUN / "drained").exists():
            drain(reason, seconds)
        if hook and ends:
            complete(hook, "Terminating", "CONTINUE")
    # After a spot notice the group may still ask for its lifecycle action.
    return ends


def main() -> int:
    """Watch until the end."""
    RUN.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            if step():
                return 0
        except (AwsError, OSError, ValueError, KeyError) as error:
            say(f"drain: {type(error).__name__}: {error}")
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    sys.exit(main())
