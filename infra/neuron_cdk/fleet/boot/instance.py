"""What the programs share: a line in the journal, instance metadata, the AWS CLI, lifecycle actions."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Marks of this boot: /run is empty after a restart.
RUN = Path("/run/neuron-cdk")
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
PAUSE_S = 5.0
HEARTBEAT_S = 20.0  # the shortest drain time of a file, and so time-out of a hook, is a minute


class AwsError(Exception):
    """A call that AWS refused, or that did not come through."""


def say(text: str) -> None:
    """One line; systemd keeps what a unit prints in the journal."""
    print(text, flush=True)


def metadata(path: str) -> str | None:
    """An item below ``/latest/meta-data``, asked by IMDSv2; None when there is no such item.

    :raises OSError: when the service does not answer.
    """
    token = _ask("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return _ask("GET", f"meta-data/{path}", {"X-aws-ec2-metadata-token": token or ""})


def _ask(method: str, path: str, headers: dict[str, str]) -> str | None:
    request = urllib.request.Request(f"{METADATA}/latest/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def aws(*words: str, attempts: int = 5) -> str:
    """What the AWS CLI prints; tried again with growing pauses, unless AWS says that the request itself is wrong.

    :raises AwsError: with what the CLI said.
    """
    for attempt in range(1, attempts + 1):
        done = subprocess.run(
            ["aws", *words, "--region", os.environ["REGION"], "--output", "json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        if "ValidationError" in done.stderr or attempt == attempts:
            break
        time.sleep(PAUSE_S * attempt)
    raise AwsError(f"aws {' '.join(words[:2])}: {done.stderr.strip() or f'exit {done.returncode}'}")


def _group() -> tuple[str, str, str]:
    """This instance's id, its Auto Scaling group and its lifecycle state; empty strings outside a group."""
    instance = metadata("instance-id") or ""
    answer = json.loads(aws("autoscaling", "describe-auto-scaling-instances", "--instance-ids", instance))
    for entry in answer["AutoScalingInstances"]:
        return instance, entry["AutoScalingGroupName"], entry["LifecycleState"]
    return instance, "", ""


def complete(hook: str, phase: str, result: str) -> None:
    """Let the group go on, if it waits.

    A group waits in ``Pending:Wait`` when it launches, in ``Warmed:Pending:Wait`` on the way into a warm pool and once
    more in ``Pending:Wait`` on the way out, in ``Terminating:Wait`` at the end (Auto Scaling user guide, "Use lifecycle
    hooks with a warm pool"). After a reboot in service it does not wait, and there is nothing to complete.

    :param phase: ``Pending`` or ``Terminating``; a state that is on its way there is waited for.
    :param result: ``CONTINUE`` or ``ABANDON``.
    :raises AwsError: when AWS does not take the answer.
    """
    for _ in range(60):
        instance, group, state = _group()
        if state.endswith(f"{phase}:Wait"):
            aws(
                "autoscaling",
                "complete-lifecycle-action",
                *_action(hook, group, instance),
                *("--lifecycle-action-result", result),
            )
            say(f"lifecycle: {hook} {result}")
            return
        if not state.endswith(phase):
            break
        time.sleep(PAUSE_S)
    say(f"lifecycle: no action of {hook} waits, the instance is {state or 'in no group'}")


@contextmanager
def kept_waiting(hook: str | None) -> Iterator[None]:
    """Tell the group, again and again, that the work goes on: a hook's time-out counts from the last heartbeat."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_S):
            try:
                instance, group, state = _group()
                if state.endswith(":Wait"):
                    aws(
                        "autoscaling",
                        "record-lifecycle-action-heartbeat",
                        *_action(str(hook), group, instance),
                        attempts=1,
                    )
            except (AwsError, OSError) as error:
                say(f"lifecycle: no heartbeat: {error}")

    if hook:
        threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _action(hook: str, group: str, instance: str) -> list[str]:
    return ["--lifecycle-hook-name", hook, "--auto-scaling-group-name", group, "--instance-id", instance]
