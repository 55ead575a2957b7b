"""Launches that failed: noted, told of, and tried again, each time later."""

from __future__ import annotations

from ..clock import clock
from . import activities, events, instances
from .store import Record

_FIRST_RETRY, _LAST_RETRY = 30.0, 300.0


def note(group: Record, cause: str, message: str, subnet: str) -> None:
    """A launch that brought no instance: its activity, its event, and the wait before the next."""
    zone = instances.zone_of(subnet)
    activity = activities.begin(group, "Launching a new EC2 instance", cause, subnet=subnet, zone=zone)
    activities.end(activity, "Failed", message)
    events.of_activity(group, "EC2 Instance Launch Unsuccessful", activity, "", ends=("EC2", "AutoScalingGroup"))
    back_off(group)


def back_off(group: Record) -> None:
    """A launch failed: wait before the next, each time longer."""
    state = group["_launch"]
    state["retry"] = clock.now() + min(_FIRST_RETRY * 2 ** state["failures"], _LAST_RETRY)
    state["failures"] += 1
