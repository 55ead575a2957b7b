"""A fleet's target from its metric, by AWS's rules. Pure.

Utilization and requests are averages over the instances in service, so their proportion is taken of those; a queue is
whole, so its need is.
"""

from __future__ import annotations

from dataclasses import replace

from . import scaling_rules
from .scaling_rules import Datapoints
from .settings import QUEUE_DEPTH, Scaling
from .state import State

# What a low alarm looks at, and as many minutes as may be late.
MINUTES = scaling_rules.LOW_DATAPOINTS + scaling_rules.LATE_DATAPOINTS


def retarget(scaling: Scaling, state: State, serving: int, datapoints: Datapoints) -> State:
    """The state with the target its metric asks for, within the limits in force.

    :param datapoints: one a minute, oldest first, ``MINUTES`` of them.
    """
    asked = _asked(scaling, state, serving, datapoints)
    target = scaling_rules.bounded(asked, state.least, state.most)
    return replace(
        state,
        target=target,
        cooldown=state.cooldown.after(state.target, target, state.now, scaling.scale_out_cooldown_s),
    )


def _asked(scaling: Scaling, state: State, serving: int, datapoints: Datapoints) -> int:
    if scaling.metric == QUEUE_DEPTH:
        return scaling_rules.queue_tracking(
            capacity=state.target,
            datapoints=datapoints,
            target=scaling.target,
            cooldown=state.cooldown,
            in_seconds=scaling.scale_in_cooldown_s,
            now=state.now,
        )
    return scaling_rules.target_tracking(
        capacity=state.target,
        measured=serving,
        datapoints=datapoints,
        target=scaling.target,
        cooldown=state.cooldown,
        out_seconds=scaling.scale_out_cooldown_s,
        in_seconds=scaling.scale_in_cooldown_s,
        now=state.now,
    )
