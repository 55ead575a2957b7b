"""What an alarm does when its state changes: an event, SNS messages, and scaling policies that act."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import sns

from .. import patching
from ..autoscaling import events
from ..clock import clock, iso
from ..sagemaker.store import speak_for

logger = logging.getLogger("neuron_cdk.local")

Alarm = dict[str, Any]
Act = Callable[[str, Alarm], None]
"""Called with a policy's ARN and the alarm that is on, in the clock's thread, as the policy's account and region."""

_publish = patching.original(sns, "publish_internal")
_RefusedError = patching.original(sns, "SnsPublishError")
_LISTS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_POLICY = "arn:aws:autoscaling:"
_AGAIN_SECONDS = 60
_TRIGGER = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
    "Dimensions",
    "Period",
    "Metrics",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "ComparisonOperator",
    "Threshold",
    "TreatMissingData",
)

_policies: dict[str, Act] = {}


def of_policies(part: str, act: Act) -> None:
    """Have ``act`` called for the policies in whose ARN there is ``part``."""
    _policies[part] = act


def dispatch(alarm: Alarm, before: str, now: str, reason: str) -> None:
    """The state has changed. Takes the place of ministack's function of this signature."""
    _tell(alarm, before, now, reason)
    if not alarm.get("ActionsEnabled", True):
        return
    for arn in alarm.get(_LISTS[now]) or ():
        if arn.startswith("arn:aws:sns:"):
            _notify(arn, alarm, before, now, reason)
    _scale(alarm)


def again(alarm: Alarm, moment: float) -> None:
    """The state has stayed: scaling policies are called once a minute for as long as it lasts, other actions are not.

    "Using CloudWatch alarms", CloudWatch user guide: actions of Auto Scaling are the exception.
    """
    if alarm.get("ActionsEnabled", True) and moment >= alarm.get("_scaled", 0.0) + _AGAIN_SECONDS:
        _scale(alarm)


def _scale(alarm: Alarm) -> None:
    for arn in alarm.get(_LISTS[alarm["StateValue"]]) or ():
        act = next((act for part, act in _policies.items() if arn.startswith(_POLICY) and part in arn), None)
        if act is not None:
            alarm["_scaled"] = clock.now()
            _later(act, arn, alarm)


def _later(act: Act, arn: str, alarm: Alarm) -> None:
    """In the clock's thread, whoever set the state: policies act one after the other."""
    account, region, state = get_account_id(), get_region(), alarm["StateValue"]

    def run() -> None:
        speak_for(account, region)
        if alarm["StateValue"] == state:
            act(arn, alarm)

    clock.call_later(0, run)


def _tell(alarm: Alarm, before: str, now: str, reason: str) -> None:
    """As in "Alarm events and EventBridge" (CloudWatch user guide)."""
    moment = iso(clock.now())
    detail = {
        "alarmName": alarm["AlarmName"],
        "state": {
            "value": now,
            "reason": reason,
            "reasonData": alarm.get("StateReasonData", "{}"),
            "timestamp": moment,
        },
        "previousState": {"value": before, "timestamp": moment},
        "configuration": _configuration(alarm),
    }
    events.send("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm["AlarmArn"]])


def _configuration(alarm: Alarm) -> dict[str, Any]:
    described = {"description": alarm["AlarmDescription"]} if alarm.get("AlarmDescription") else {}
    if "AlarmRule" in alarm:
        return described | {"alarmRule": alarm["AlarmRule"]}
    if "Metrics" in alarm:
        return described | {"metrics": [_query(query) for query in alarm["Metrics"]]}
    stat = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
    metric = {name: alarm.get(name) for name in ("Namespace", "MetricName", "Dimensions")}
    whole = {"Id": "m1", "MetricStat": {"Metric": metric, "Period": alarm.get("Period"), "Stat": stat}}
    return described | {"metrics": [_query(whole)]}


def _query(query: dict[str, Any]) -> dict[str, Any]:
    told = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "MetricStat" not in query:
        return told | {"expression": query["Expression"]}
    stat = query["MetricStat"]
    metric = {
        "namespace": stat["Metric"]["Namespace"],
        "name": stat["Metric"]["MetricName"],
        "dimensions": {one["Name"]: one["Value"] for one in stat["Metric"].get("Dimensions") or ()},
    }
    return told | {"metricStat": {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}}


def _notify(topic: str, alarm: Alarm, before: str, now: str, reason: str) -> None:
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": get_account_id(),
        "NewStateValue": now,
        "NewStateReason": reason,
        "StateChangeTime": iso(clock.now()),
        "Region": get_region(),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before,
        "Trigger": {name: alarm[name] for name in _TRIGGER if name in alarm},
    }
    try:
        _publish(topic, json.dumps(message), f'{now}: "{alarm["AlarmName"]}" in {get_region()}'[:100])
    except _RefusedError as error:
        logger.warning("the message of the alarm %s was refused: %s", alarm["AlarmName"], error)
