"""The life of an instance in its group: pending, waiting at hooks, in service, terminating, gone.

An instance's record has the members that DescribeAutoScalingInstances shows, and: ``_market``, ``_reservation``,
``_subnet``, ``_launched`` and ``_serving`` (moments), ``_due`` (when its state ends by itself), ``_activity``,
``_actions`` (what it waits for at hooks: by hook, token and moments), ``_leave`` (why it has to go, and whether its
successor comes first), ``_unhealthy`` (why), ``_warm`` (when its warm-up ends), ``_in_pool`` (it is in the warm pool:
its states begin with ``Warmed:``).
"""

from __future__ import annotations

import uuid
from typing import Any

from ministack.services import alb

from .. import patching
from ..clock import clock
from . import activities, events, failures, instances, launching, refreshing, settings
from .launching import Way
from .store import Record
from .turn import Turn

LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
LONGEST_WAIT = 48 * 3600  # the global timeout: 48 hours, or a hundred heartbeats if that is less
_EVENTS = {LAUNCHING: "EC2 Instance-launch Lifecycle Action", TERMINATING: "EC2 Instance-terminate Lifecycle Action"}
_SHUTDOWN_SECONDS = 1.0
_GONE = (
    "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or "
    "stopped."
)

_targets = patching.original(alb, "_targets")
_target_groups = patching.original(alb, "_tgs")


def counts(instance: Record) -> bool:
    """Whether it is one of those that a group's size counts."""
    state: str = instance["LifecycleState"]
    return state == "InService" or state.startswith("Pending")


def launch(group: Record, way: Way, subnet: str, version: Record, cause: str, *, into_pool: bool = False) -> Record:
    """A new instance of the group, or of its warm pool; its record."""
    data = version["LaunchTemplateData"]
    named = launching.named(version)
    identifier = instances.launch(
        image=data.get("ImageId", "ami-00000000"),
        instance_type=way.instance_type,
        subnet=subnet,
        market=way.market,
        reservation=way.reservation,
        group=group["AutoScalingGroupName"],
        tags=_tags(group, data, named),
        template=data,
    )
    zone = instances.zone_of(subnet)
    activity = activities.begin(group, f"Launching a new EC2 instance: {identifier}", cause, subnet=subnet, zone=zone)
    instance: Record = {
        "InstanceId": identifier,
        "InstanceType": way.instance_type,
        "AutoScalingGroupName": group["AutoScalingGroupName"],
        "AvailabilityZone": zone,
        "AvailabilityZoneId": instances.zone_id(zone),
        "LifecycleState": "Pending",
        "HealthStatus": "Healthy",
        "LaunchTemplate": named,
        "ImageId": data.get("ImageId"),
        "ProtectedFromScaleIn": group["NewInstancesProtectedFromScaleIn"],
        "_market": way.market,
        "_reservation": way.reservation,
        "_subnet": subnet,
        "_launched": clock.now(),
        "_activity": activity["ActivityId"],
        "_due": clock.now() + settings.boot_seconds(),
        "_in_pool": into_pool,
    }
    group["_instances"][identifier] = instance
    _enter(instance, "Pending")
    if _wait(group, instance, LAUNCHING, ends=("EC2", "WarmPool" if into_pool else "AutoScalingGroup")):
        instances.run(identifier)
    return instance


def take_from_pool(group: Record, instance: Record, cause: str) -> None:
    """Start an instance of the warm pool, for the group."""
    identifier = instance["InstanceId"]
    activity = activities.begin(
        group,
        f"Launching a new EC2 instance from warm pool: {identifier}",
        cause,
        subnet=instance["_subnet"],
        zone=instance["AvailabilityZone"],
    )
    instance.update(_in_pool=False, _activity=activity["ActivityId"], _due=clock.now() + settings.warm_boot_seconds())
    _enter(instance, "Pending")
    instances.run(identifier)
    _wait(group, instance, LAUNCHING, ends=("WarmPool", "AutoScalingGroup"))


def terminate(group: Record, instance: Record, cause: str) -> Record:
    """Take an instance out of service for good; the activity."""
    identifier = instance["InstanceId"]
    activity = activities.begin(
        group,
        f"Terminating EC2 instance: {identifier}",
        cause,
        subnet=instance["_subnet"],
        zone=instance["AvailabilityZone"],
    )
    _end_launch(group, instance)
    group["_replaced"] += instance["HealthStatus"] == "Unhealthy"
    drained = _plain(instance) in ("Pending", "Stopped")
    instance.pop("_actions", None)
    instance["_activity"] = activity["ActivityId"]
    deregister(group["TargetGroupARNs"], identifier)
    _enter(instance, "Terminating")
    instance["_due"] = clock.now() + (_SHUTDOWN_SECONDS if instances.lives(identifier) else 0)
    if not drained and instances.lives(identifier):
        _wait(group, instance, TERMINATING, ends=("WarmPool" if instance["_in_pool"] else "AutoScalingGroup", "EC2"))
    return activity


def complete(group: Record, instance: Record, hook: str, result: str, *, why: str) -> None:
    """The answer to a hook: CONTINUE or ABANDON. The last CONTINUE, or the first ABANDON, lets the instance go on."""
    actions = instance["_actions"]
    transition = actions[hook]["transition"]
    token = actions.pop(hook)["token"]
    if result == "ABANDON":
        instance["_abandoned"] = (
            "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
            f"{token} was abandoned: {why}"
        )
        actions.clear()
    if actions:
        return
    instance.pop("_actions")
    if transition == TERMINATING:
        instance.pop("_abandoned", None)
        _enter(instance, "Terminating:Proceed")
        instance["_due"] = clock.now() + _SHUTDOWN_SECONDS
    elif "_abandoned" in instance:
        _abandon(group, instance)
    else:
        _enter(instance, "Pending:Proceed")
        instance["_due"] = clock.now()


def heartbeat(action: Record) -> None:
    """Begin the timeout again; never past the global one."""
    action["until"] = min(clock.now() + action["timeout"], action["limit"])


def step(group: Record, turn: Turn) -> None:
    for instance in list(group["_instances"].values()):
        _check(instance, turn)
        if "_actions" in instance:
            _hooks(group, instance, turn)
        if "_actions" not in instance:
            _go_on(group, instance, turn)


def _check(instance: Record, turn: Turn) -> None:
    """An instance that EC2 has no more is unhealthy; nobody answers for it at a hook on its way out."""
    if instances.lives(instance["InstanceId"]):
        return
    if counts(instance) and instance["HealthStatus"] == "Healthy":
        instance.update(HealthStatus="Unhealthy", _unhealthy=_GONE)
        turn.changed = True
    elif _plain(instance) == "Terminating:Wait":
        del instance["_actions"]
        _enter(instance, "Terminating:Proceed")
        instance["_due"] = turn.now
        turn.changed = True


def _go_on(group: Record, instance: Record, turn: Turn) -> None:
    state = _plain(instance)
    if state in ("Pending", "Pending:Proceed") and turn.due(instance["_due"]):
        _ready(group, instance)
        turn.changed = True
    elif state in ("Terminating", "Terminating:Proceed") and turn.due(instance["_due"]):
        _gone(group, instance)
        turn.changed = True


def _hooks(group: Record, instance: Record, turn: Turn) -> None:
    """The agent's answers, and the hooks that nobody answered in time."""
    for hook, action in list(instance["_actions"].items()):
        said = settings.answer(action["transition"])
        if said and turn.due(action["agent"]):
            complete(group, instance, hook, said, why=f"Lifecycle Action Completed with {said} Result")
        elif turn.due(action["until"]):
            complete(group, instance, hook, action["default"], why="Heartbeat Timeout Elapsed")
        else:
            continue
        turn.changed = True
        if "_actions" not in instance:
            return


def _enter(instance: Record, state: str) -> None:
    instance["LifecycleState"] = f"Warmed:{state}" if instance["_in_pool"] else state


def _plain(instance: Record) -> str:
    """Its state, in the warm pool or not."""
    state: str = instance["LifecycleState"]
    return state.removeprefix("Warmed:")


def _wait(group: Record, instance: Record, transition: str, *, ends: tuple[str, str]) -> bool:
    """Let the instance wait at the group's hooks of ``transition``; False when it has none."""
    hooks = [each for each in group["_hooks"].values() if each["LifecycleTransition"] == transition]
    if not hooks:
        return False
    now = clock.now()
    seconds = instance["_due"] - now if transition == LAUNCHING else settings.drain_seconds()
    instance["_actions"] = {}
    for hook in hooks:
        timeout = hook["HeartbeatTimeout"]
        instance["_actions"][hook["LifecycleHookName"]] = {
            "transition": transition,
            "token": str(uuid.uuid4()),
            "timeout": timeout,
            "until": now + timeout,
            "limit": now + min(LONGEST_WAIT, 100 * timeout),
            "default": hook["DefaultResult"],
            "agent": now + seconds,
        }
    _enter(instance, "Pending:Wait" if transition == LAUNCHING else "Terminating:Wait")
    activity = activities.find(group, instance["_activity"])
    if activity:
        activity.update(StatusCode="MidLifecycleAction", Progress=60)
    for hook in hooks:
        detail: dict[str, Any] = {
            "LifecycleActionToken": instance["_actions"][hook["LifecycleHookName"]]["token"],
            "AutoScalingGroupName": group["AutoScalingGroupName"],
            "LifecycleHookName": hook["LifecycleHookName"],
            "EC2InstanceId": instance["InstanceId"],
            "LifecycleTransition": transition,
            "Origin": ends[0],
            "Destination": ends[1],
        }
        events.of_hook(group, _EVENTS[transition], hook, detail)
    return True


def _ready(group: Record, instance: Record) -> None:
    """It is booted and its hooks are done: in service, or at rest in the warm pool."""
    identifier = instance["InstanceId"]
    group["_launch"]["failures"] = 0
    if instance["_in_pool"]:
        rest = group["WarmPoolConfiguration"].get("PoolState", "Stopped")
        _enter(instance, rest)
        (instances.run if rest == "Running" else instances.stop)(identifier)
        ends = ("EC2", "WarmPool")
    else:
        _enter(instance, "InService")
        instances.run(identifier)
        instance["_serving"] = clock.now()
        instance["_warm"] = clock.now() + refreshing.warm_up(group)
        register(group, identifier)
        ends = ("EC2", "AutoScalingGroup")
    activity = activities.find(group, instance.pop("_activity"))
    if activity:
        activities.end(activity)
        events.of_activity(group, "EC2 Instance Launch Successful", activity, identifier, ends=ends)


def _end_launch(group: Record, instance: Record) -> None:
    """An instance that goes before it was in service: its launch is over."""
    if _plain(instance).startswith("Pending"):
        activity = activities.find(group, instance["_activity"])
        if activity and "EndTime" not in activity:
            activities.end(activity, "Cancelled")


def _abandon(group: Record, instance: Record) -> None:
    """A launch hook said ABANDON: the launch failed, the instance goes, without its terminate hooks."""
    message = instance.pop("_abandoned")
    failures.back_off(group)
    activity = activities.find(group, instance["_activity"])
    if activity:
        activities.end(activity, "Cancelled", message)
        events.of_activity(
            group,
            "EC2 Instance Launch Unsuccessful",
            activity,
            instance["InstanceId"],
            ends=("EC2", "AutoScalingGroup"),
        )
    ended = activities.begin(
        group,
        f"Terminating EC2 instance: {instance['InstanceId']}",
        activities.at("an instance was taken out of service in response to a launch failure."),
        subnet=instance["_subnet"],
        zone=instance["AvailabilityZone"],
    )
    _enter(instance, "Terminating")
    instance.update(_activity=ended["ActivityId"], _due=clock.now() + _SHUTDOWN_SECONDS)


def _gone(group: Record, instance: Record) -> None:
    identifier = instance["InstanceId"]
    instances.terminate(identifier)
    del group["_instances"][identifier]
    activity = activities.find(group, instance["_activity"])
    if activity:
        activities.end(activity)
        events.of_activity(
            group, "EC2 Instance Terminate Successful", activity, identifier, ends=("AutoScalingGroup", "EC2")
        )


def _tags(group: Record, data: Record, named: Record) -> dict[str, str]:
    """The template's tags for instances, the group's that propagate, and AWS's own."""
    found = {
        tag["Key"]: str(tag.get("Value", ""))
        for wanted in data.get("TagSpecifications") or []
        if wanted["ResourceType"] == "instance"
        for tag in wanted.get("Tags", [])
    }
    found |= {tag["Key"]: tag["Value"] for tag in group["Tags"] if tag["PropagateAtLaunch"]}
    return found | {
        "aws:autoscaling:groupName": group["AutoScalingGroupName"],
        "aws:ec2launchtemplate:id": named["LaunchTemplateId"],
        "aws:ec2launchtemplate:version": named["Version"],
    }


def register(group: Record, identifier: str) -> None:
    """Have the group's load balancers send requests to the instance."""
    for arn in group["TargetGroupARNs"]:
        there = _targets.setdefault(arn, [])
        if arn in _target_groups and identifier not in [each["Id"] for each in there]:
            there.append({"Id": identifier})


def deregister(arns: list[str], identifier: str) -> None:
    """Have these target groups send no more requests to the instance."""
    for arn in arns:
        if arn in _target_groups:
            _targets[arn] = [each for each in _targets.get(arn, []) if each["Id"] != identifier]
