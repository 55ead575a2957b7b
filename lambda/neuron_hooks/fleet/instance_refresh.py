"""Bringing a fleet to a new launch template: one instance refresh a group, and CloudFormation's answer. Pure.

CloudFormation has given the groups their new version when the request comes. A refresh is told apart from those before
it by its id: the newest of a group that is not the one seen when the request came is this request's, whichever run of
the controller started it. A refresh that fails is not rolled back by Auto Scaling, which needs a desired configuration
for that: the answer fails, CloudFormation rolls the version back, and that request refreshes what was replaced.

Source: EC2 Auto Scaling API Reference, ``InstanceRefresh`` and ``RefreshPreferences``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .settings import Refresh
from .state import Renewal

# CloudFormation gives up after 3,600 s; it is answered before that, and the refreshes go on.
DEADLINE_S = 55 * 60

_UNDER_WAY = ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")


@dataclass(frozen=True, slots=True)
class InstanceRefresh:
    """A group's refresh: its id, ``Status``, ``StatusReason``, how far it is in percent, when it began in seconds."""

    id: str
    status: str
    reason: str
    percent: int = 0
    began: int = 0

    @property
    def is_under_way(self) -> bool:
        return self.status in _UNDER_WAY


@dataclass(frozen=True, slots=True)
class Progress:
    """Groups whose refresh is to be started, and those whose older one is to be cancelled first.

    :param end: ``done``, ``failed`` or ``running`` (past the deadline), empty as long as there is nothing to answer.
    """

    start: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    end: str = ""
    reason: str = ""


def look(
    renewal: Renewal,
    newest: Mapping[str, InstanceRefresh | None],
    sizes: Mapping[str, int],
    failing: Mapping[str, int],
    now: int,
) -> Progress:
    """How far a renewal is.

    :param newest: the newest refresh of each of its groups.
    :param sizes: how many instances each has: what is empty needs no refresh.
    :param failing: groups whose launches fail for another reason than capacity, and when one did last. Auto Scaling
        would go on trying for longer than CloudFormation waits.
    """
    ours = {group: one for group, one in newest.items() if one and one.id != renewal.before[group]}
    failed = [
        f"{group}: instance refresh {one.id} ended as {one.status}: {one.reason}"
        for group, one in ours.items()
        if not one.is_under_way and one.status != "Successful"
    ]
    failed += [
        f"{group}: instances of the new version do not come into service"
        for group, one in ours.items()
        if one.is_under_way and failing.get(group, 0) >= renewal.deadline - DEADLINE_S
    ]
    if failed:
        return Progress(end="failed", reason="\n".join(failed), cancel=_under_way(ours))
    waiting = [group for group in renewal.before if group not in ours and sizes[group]]
    if not waiting and not _under_way(ours):
        return Progress(end="done")
    if now >= renewal.deadline:
        return Progress(end="running")
    older = _under_way({group: one for group in waiting if (one := newest.get(group))})
    return Progress(start=tuple(group for group in waiting if group not in older), cancel=older)


def _under_way(refreshes: Mapping[str, InstanceRefresh]) -> tuple[str, ...]:
    return tuple(group for group, one in refreshes.items() if one.is_under_way)


def preferences(refresh: Refresh) -> dict[str, Any]:
    """``Preferences`` of StartInstanceRefresh. Instances that are of the version already stay."""
    alarms = {"AlarmSpecification": {"Alarms": list(refresh.alarms)}} if refresh.alarms else {}
    return {
        "MinHealthyPercentage": refresh.min_healthy_percent,
        "InstanceWarmup": refresh.warmup_s,
        "CheckpointPercentages": list(refresh.checkpoints),
        "CheckpointDelay": refresh.bake_seconds,
        "BakeTime": refresh.bake_seconds,
        "SkipMatching": True,
        **alarms,
    }
