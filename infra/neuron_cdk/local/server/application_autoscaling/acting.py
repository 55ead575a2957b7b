"""A policy acts when one of its alarms is on: what it asks for, by ``scaling_rules``, within the target's limits.

A policy whose resource takes no change now asks for nothing: the alarm that stays on calls it again in a minute.
"""

from __future__ import annotations

from neuron_cdk import scaling_rules

from ..clock import clock
from ..cloudwatch import alarms
from ..cloudwatch.judging import ALARM
from . import activities, changes, dimensions, store, tracking
from .dimensions import Capacity
from .store import Record

COOLDOWN_SECONDS = 300
"""Of SageMaker's dimensions where a policy names none (API reference, ``ScaleOutCooldown`` and ``Cooldown``)."""


def act(arn: str, alarm: Record) -> None:
    """The policy ``arn`` is called by ``alarm``, which is on."""
    policy = next((policy for policy in list(store.policies.values()) if policy["PolicyARN"] == arn), None)
    target = store.targets.get(store.key_of(policy)) if policy else None
    there = dimensions.find(target).read(target["ResourceId"]) if target else None
    if policy is None or target is None or there is None or there.busy:
        return
    asked = _step(policy, alarm, there) if policy["PolicyType"] == "StepScaling" else _track(policy, alarm, there)
    if asked is None or _suspended(target, there.desired, asked):
        return
    cause = f"monitor alarm {alarm['AlarmName']} in state {alarm['StateValue']} triggered policy {policy['PolicyName']}"
    wanted = scaling_rules.bounded(asked, target["MinCapacity"], target["MaxCapacity"])
    if wanted == there.desired:
        _leave(target, asked, there.desired, cause)
    elif changes.change(target, wanted, cause):
        cooldown, now = _cooldown(policy), int(clock.now())
        after = cooldown.after(there.desired, wanted, now, _seconds(policy, "ScaleOutCooldown"))
        policy["_cooldown"] = [after.out_at, after.out_from, after.in_at]


def _track(policy: Record, alarm: Record, there: Capacity) -> int | None:
    if alarm["AlarmName"] == policy["_alarms"].get("High"):
        return _tracked(policy, alarm, there, scaling_rules.HIGH_DATAPOINTS)
    if alarm["AlarmName"] != policy["_alarms"].get("Low"):
        return None
    # In only when all target tracking policies would: "Multiple scaling policies", user guide.
    lows = []
    for other in store.of_target(store.policies, store.key_of(policy)):
        if other["PolicyType"] == "TargetTrackingScaling" and "Low" in other["_alarms"]:
            low = alarms.find(other["_alarms"]["Low"])
            if low is None or low["StateValue"] != ALARM:
                return None
            lows.append(_tracked(other, low, there, scaling_rules.LOW_DATAPOINTS))
    return max(lows, default=None)


def _tracked(policy: Record, alarm: Record, there: Capacity, count: int) -> int:
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    now = clock.now()
    return scaling_rules.target_tracking(
        capacity=there.desired,
        measured=there.desired,
        datapoints=tracking.values(alarm, now, count),
        target=configuration["TargetValue"],
        cooldown=_cooldown(policy),
        out_seconds=_seconds(policy, "ScaleOutCooldown"),
        in_seconds=_seconds(policy, "ScaleInCooldown"),
        now=int(now),
        scale_in=not configuration.get("DisableScaleIn", False),
    )


def _step(policy: Record, alarm: Record, there: Capacity) -> int | None:
    configuration = policy["StepScalingPolicyConfiguration"]
    found = [value for value in tracking.values(alarm, clock.now(), alarm["EvaluationPeriods"]) if value is not None]
    if not found:
        return None
    return scaling_rules.step_scaling(
        capacity=there.desired,
        kind=configuration["AdjustmentType"],
        steps=[
            (
                step.get("MetricIntervalLowerBound"),
                step.get("MetricIntervalUpperBound"),
                step["ScalingAdjustment"],
            )
            for step in configuration["StepAdjustments"]
        ],
        threshold=alarm["Threshold"],
        metric=found[-1],
        cooldown=_cooldown(policy),
        seconds=_seconds(policy, "Cooldown"),
        now=int(clock.now()),
        least_magnitude=configuration.get("MinAdjustmentMagnitude", 0),
    )


def _leave(target: Record, asked: int, capacity: int, cause: str) -> None:
    """Note that limits hold a policy back. A policy that asks for what there is, is not worth a word."""
    if asked == capacity:
        return
    code = "AlreadyAtMaxCapacity" if asked > capacity else "AlreadyAtMinCapacity"
    activities.not_scaled(target, cause, "Attempting to scale due to alarm triggered", code, capacity)


def _suspended(target: Record, capacity: int, asked: int) -> bool:
    suspended = target["SuspendedState"]
    return bool(
        (asked > capacity and suspended["DynamicScalingOutSuspended"])
        or (asked < capacity and suspended["DynamicScalingInSuspended"])
    )


def _cooldown(policy: Record) -> scaling_rules.Cooldown:
    return scaling_rules.Cooldown(*policy.get("_cooldown", (None, 0, None)))


def _seconds(policy: Record, member: str) -> int:
    if policy["PolicyType"] == "StepScaling":
        return int(policy["StepScalingPolicyConfiguration"].get("Cooldown", COOLDOWN_SECONDS))
    return int(policy["TargetTrackingScalingPolicyConfiguration"].get(member, COOLDOWN_SECONDS))
