"""The events that Auto Scaling and EC2 send, to EventBridge's rules and to a group's notification topics.

Their forms are those of "Amazon EC2 Auto Scaling event reference" and "Instance refresh example events and patterns"
(EC2 Auto Scaling user guide), "Spot Instance interruption notices" and "Monitor Capacity Blocks using EventBridge"
(EC2 user guide).
"""

from __future__ import annotations

import json
import logging

from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, sns

from .. import patching
from ..clock import clock, iso
from .store import Record

logger = logging.getLogger("neuron_cdk.local")

_put = patching.original(eventbridge, "_put_events")
_ensure_bus = patching.original(eventbridge, "_ensure_default_bus")
_publish = patching.original(sns, "publish_internal")
_RefusedError = patching.original(sns, "SnsPublishError")

_NOTICES = {
    "EC2 Instance Launch Successful": ("autoscaling:EC2_INSTANCE_LAUNCH", "launch"),
    "EC2 Instance Launch Unsuccessful": ("autoscaling:EC2_INSTANCE_LAUNCH_ERROR", "failed launch"),
    "EC2 Instance Terminate Successful": ("autoscaling:EC2_INSTANCE_TERMINATE", "termination"),
    "EC2 Instance Terminate Unsuccessful": ("autoscaling:EC2_INSTANCE_TERMINATE_ERROR", "failed termination"),
}


def of_activity(group: Record, name: str, activity: Record, instance: str, *, ends: tuple[str, str]) -> None:
    """The end of a launch or a termination. ``ends`` are the event's Origin and Destination."""
    detail = {
        "StatusCode": activity["StatusCode"] if activity["StatusCode"] != "Successful" else "InProgress",
        "Description": activity["Description"],
        "AutoScalingGroupName": group["AutoScalingGroupName"],
        "ActivityId": activity["ActivityId"],
        "Details": json.loads(activity["Details"]),
        "RequestId": activity["ActivityId"],
        "StatusMessage": activity.get("StatusMessage", ""),
        "EndTime": iso(activity["EndTime"]),
        "EC2InstanceId": instance,
        "StartTime": iso(activity["StartTime"]),
        "Cause": activity["Cause"],
        "Origin": ends[0],
        "Destination": ends[1],
    }
    of_group(group, name, detail, also=[instance_arn(instance)] if instance else [])
    _notify(group, name, detail)


def of_hook(group: Record, name: str, hook: Record, detail: Record) -> None:
    """A lifecycle hook that an instance waits at; to the hook's own target too when it has one."""
    metadata = {"NotificationMetadata": hook["NotificationMetadata"]} if "NotificationMetadata" in hook else {}
    of_group(group, name, detail | metadata)
    target = hook.get("NotificationTargetARN", "")
    if target.startswith("arn:aws:sns:"):
        subject = f"Auto Scaling:  Lifecycle action '{hook['LifecycleTransition'].rpartition('_')[2]}' for instance"
        _say(target, f"{subject} {detail['EC2InstanceId']}", detail | metadata)


def of_group(group: Record, name: str, detail: Record, *, also: list[str] | None = None) -> None:
    send("aws.autoscaling", name, detail, [group["AutoScalingGroupARN"], *(also or [])])


def send(source: str, name: str, detail: Record, resources: list[str]) -> None:
    """An event of AWS's own, with the time of the clock."""
    _ensure_bus()
    entry = {"Source": source, "DetailType": name, "Detail": json.dumps(detail), "Resources": resources}
    _put({"Entries": [entry]}, allow_aws_source=True)


def instance_arn(instance: str) -> str:
    return f"arn:aws:ec2:{get_region()}:{get_account_id()}:instance/{instance}"


def _notify(group: Record, name: str, detail: Record) -> None:
    kind, what = _NOTICES[name]
    for wanted in group["_notifications"]:
        if wanted["NotificationType"] == kind:
            subject = f'Auto Scaling: {what} for group "{group["AutoScalingGroupName"]}"'
            said = {"Event": kind, "AutoScalingGroupARN": group["AutoScalingGroupARN"], "Progress": 50}
            _say(wanted["TopicARN"], subject, said | detail)


def _say(topic: str, subject: str, body: Record) -> None:
    envelope = {"Service": "AWS Auto Scaling", "Time": iso(clock.now()), "AccountId": get_account_id()}
    try:
        _publish(topic, json.dumps(envelope | body), subject[:100])
    except _RefusedError as error:
        logger.warning("a notification of Auto Scaling was refused: %s", error)
