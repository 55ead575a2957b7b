"""What every deployment has: batches of whole instances or copies, and waits that watch alarms."""

from __future__ import annotations

from typing import Any

from ..api import ServiceError
from ..clock import clock
from ..cloudwatch import alarms as cloudwatch
from . import working

_LONGEST_SECONDS = 28_800  # the most that MaximumExecutionTimeoutInSeconds may be, and what goes for no limit


class RolledBackError(Exception):
    """Why a deployment was taken back, as FailureReason words it."""


class Watch:
    """What ends a deployment early. ``look`` is what a wait asks."""

    def __init__(self, policy: dict[str, Any]) -> None:
        self._names = [alarm["AlarmName"] for alarm in policy.get("AutoRollbackConfiguration", {}).get("Alarms", [])]
        update = policy.get("BlueGreenUpdatePolicy") or policy.get("RollingUpdatePolicy") or {}
        self._seconds = update.get("MaximumExecutionTimeoutInSeconds", _LONGEST_SECONDS)
        self._deadline = clock.now() + self._seconds

    def look(self) -> str | None:
        """Why to roll back now; None while there is no reason."""
        tripped = [name for name in self._names if cloudwatch.state(name) == "ALARM"]
        if tripped:
            return f"One or more auto-rollback alarms are in ALARM state: {', '.join(tripped)}"
        if clock.now() > self._deadline:
            return f"the deployment did not finish within MaximumExecutionTimeoutInSeconds ({self._seconds:.0f})"
        return None

    def bake(self, seconds: float) -> None:
        """Let a wait pass. Raises ``RolledBackError`` as soon as there is a reason to."""
        reason = working.pause(seconds, self.look)
        if reason:
            raise RolledBackError(reason)


def check_alarms(policy: dict[str, Any]) -> None:
    """Raise ``ValidationException`` for a rollback alarm that there is not."""
    for alarm in policy.get("AutoRollbackConfiguration", {}).get("Alarms", []):
        if cloudwatch.state(alarm["AlarmName"]) is None:
            raise ServiceError("ValidationException", f"Could not find the CloudWatch alarm {alarm['AlarmName']}.")


def size(capacity: dict[str, Any], total: int) -> int:
    """Whole instances, or copies, of a ``total``: at least one."""
    if capacity["Type"] == "CAPACITY_PERCENT":
        return max(1, total * int(capacity["Value"]) // 100)
    return int(capacity["Value"])
