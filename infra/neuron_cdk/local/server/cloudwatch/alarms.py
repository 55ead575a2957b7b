"""Alarms: what PutMetricAlarm keeps, and how their states follow their metrics on the clock.

The records are in ministack's table, which its own operations describe and delete, and its composite alarms go by. An
alarm is evaluated at each full minute of the clock over the periods that have ended then; one with a period of less
than a minute, at each ten seconds.
"""

from __future__ import annotations

import json
import logging
import operator
import threading
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch

from .. import patching
from ..api import ServiceError
from ..autoscaling import keeping
from ..clock import Timer, clock, iso
from ..sagemaker.store import speak_for
from . import actions, judging, metrics, queries

logger = logging.getLogger("neuron_cdk.local")

Alarm = dict[str, Any]

_alarms = patching.original(cloudwatch, "_alarms")
_composites = patching.original(cloudwatch, "_composite_alarms")
_tags = patching.original(cloudwatch, "_resource_tags")
_record_history = patching.original(cloudwatch, "_record_history")
_evaluate_parents = patching.original(cloudwatch, "_evaluate_parent_alarms")

_OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
_MINUTE = 60
_OFTEN = 10
_DAY = 86_400
_MISSING = ("breaching", "notBreaching", "ignore", "missing")
_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}

_waiting: Timer | None = None
_lock = threading.Lock()


def state(name: str) -> str | None:
    """``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; None where this account and region have no such alarm."""
    found = _alarms.get(name) or _composites.get(name)
    return None if found is None else str(found["StateValue"])


def find(name: str) -> Alarm | None:
    """The record of a metric alarm of this account and region."""
    found: Alarm | None = _alarms.get(name)
    return found


def calling(action: str) -> list[dict[str, str]]:
    """The alarms of this account and region that have ``action`` when they are on, by name and ARN."""
    return [
        {"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]}
        for alarm in list(_alarms.values())
        if action in alarm["AlarmActions"]
    ]


def arn(name: str) -> str:
    return f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"


def put(request: Alarm) -> Alarm:
    """PutMetricAlarm; an alarm that there is keeps its state."""
    _check(request)
    name, now = request["AlarmName"], clock.now()
    present = _alarms.get(name) or {
        "StateValue": judging.INSUFFICIENT_DATA,
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now,
        "StateTransitionedTimestamp": now,
    }
    if name not in _alarms and request.get("Tags"):
        _tags[arn(name)] = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    kept = {member: value for member, value in present.items() if member.startswith("State")}
    defaults: Alarm = {"ActionsEnabled": True, "TreatMissingData": "missing"}
    lists: Alarm = {"AlarmActions": [], "OKActions": [], "InsufficientDataActions": []}
    if "Metrics" not in request:
        lists["Dimensions"] = []
    given = {member: value for member, value in request.items() if member != "Tags"}
    _alarms[name] = defaults | lists | given | kept | {"AlarmArn": arn(name), "AlarmConfigurationUpdatedTimestamp": now}
    wake()
    return {}


def delete(names: list[str]) -> None:
    """Remove those of ``names`` that there are."""
    for name in names:
        _alarms.pop(name, None)
        _tags.pop(arn(name), None)


def put_tags(name: str, tags: list[dict[str, str]]) -> None:
    """Let the alarm have these tags and no others."""
    _tags[arn(name)] = {tag["Key"]: tag["Value"] for tag in tags}


def asked(alarm: Alarm) -> list[queries.Query]:
    """What the alarm watches, as metric data queries."""
    if "Metrics" in alarm:
        given: list[queries.Query] = alarm["Metrics"]
        return given
    metric = {member: alarm[member] for member in ("Namespace", "MetricName", "Dimensions") if member in alarm}
    statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    return [{"Id": "m1", "MetricStat": {"Metric": metric, "Period": alarm["Period"], "Stat": statistic}}]


def watched(alarm: Alarm) -> queries.Query:
    """The query whose datapoints the threshold is for."""
    (found,) = [query for query in asked(alarm) if query.get("ReturnData", True)]
    return found


def datapoints(alarm: Alarm, moment: float, count: int, seconds: int | None = None) -> list[tuple[int, float | None]]:
    """The last ``count`` periods that have ended by ``moment``, oldest first, and their datapoints.

    ``seconds`` is their length where it is not the alarm's own.
    """
    wanted = asked(alarm)
    if seconds is not None:
        wanted = [
            query | {"MetricStat": query["MetricStat"] | {"Period": seconds}} if "MetricStat" in query else query
            for query in wanted
        ]
    length = queries.period(wanted)
    end = int(moment // length) * length
    series = queries.answer(wanted, end - count * length, end)[watched(alarm)["Id"]]
    return [(time, series.get(time)) for time in range(end - count * length, end, length)]


def wake() -> None:
    """See to it that the alarms are evaluated when the next is due."""
    global _waiting
    step = min((_step(alarm) for alarm in list(_alarms.all_values())), default=0)
    if not step:
        return
    due = (clock.now() // step + 1) * step
    with _lock:
        if _waiting is not None:
            if _waiting.due <= due:
                return
            _waiting.cancel()
        _waiting = clock.call_at(due, _look)


def _look() -> None:
    global _waiting
    with _lock:
        _waiting = None
    moment = clock.now()
    try:
        for (account, region, _), alarm in list(_alarms.all_items()):
            if alarm.get("_evaluated", 0) < moment // _step(alarm) * _step(alarm):
                alarm["_evaluated"] = moment
                speak_for(account, region)
                try:
                    _evaluate(alarm, moment)
                except Exception:
                    logger.exception("the alarm %s cannot be evaluated", alarm["AlarmName"])
    finally:
        wake()


def _step(alarm: Alarm) -> int:
    return _OFTEN if queries.period(asked(alarm)) < _MINUTE else _MINUTE


def _evaluate(alarm: Alarm, moment: float) -> None:
    periods: int = alarm["EvaluationPeriods"]
    enough: int = alarm.get("DatapointsToAlarm", periods)
    found = datapoints(alarm, moment, periods + judging.MORE_DATAPOINTS)
    compare, threshold = judging.COMPARISONS[alarm["ComparisonOperator"]], alarm["Threshold"]
    breaching = [None if value is None else compare(value, threshold) for _, value in found]
    before = alarm["StateValue"]
    now = judging.state(breaching, periods, enough, alarm["TreatMissingData"], before)
    if now == before:
        actions.again(alarm, moment)
        return
    real = [(time, value) for time, value in found if value is not None][-periods:]
    alarm.update(
        StateValue=now,
        StateReason=_reason(alarm, real, enough, now),
        StateReasonData=json.dumps(
            {
                "version": "1.0",
                "queryDate": iso(moment),
                "period": queries.period(asked(alarm)),
                "recentDatapoints": [value for _, value in real],
                "threshold": threshold,
            }
        ),
        StateUpdatedTimestamp=moment,
        StateTransitionedTimestamp=moment,
    )
    _record_history(alarm["AlarmName"], before, now, alarm["StateReason"])
    actions.dispatch(alarm, before, now, alarm["StateReason"])
    _evaluate_parents(alarm)
    keeping.changed()


def _reason(alarm: Alarm, real: list[tuple[int, float]], enough: int, now: str) -> str:
    """Worded as CloudWatch does."""
    if not real:
        periods = alarm["EvaluationPeriods"]
        several, were = ("s", "were") if periods > 1 else ("", "was")
        if now == judging.INSUFFICIENT_DATA:
            return f"Insufficient Data: {periods} datapoint{several} {were} unknown."
        treated = "Breaching" if now == judging.ALARM else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {periods} period{several} and {periods} missing "
            f"datapoint{several} {were} treated as [{treated}]."
        )
    said = ", ".join(f"{value} ({iso(time)})" for time, value in reversed(real))
    were = ("were" if len(real) > 1 else "was") + ("" if now == judging.ALARM else " not")
    moved = "OK -> ALARM" if now == judging.ALARM else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(real)} out of the last {len(real)} datapoints [{said}] {were} "
        f"{_WORDS[alarm['ComparisonOperator']]} the threshold ({float(alarm['Threshold'])}) "
        f"(minimum {enough} datapoint{'s' if enough > 1 else ''} for {moved} transition)."
    )


def _check(request: Alarm) -> None:
    for member in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if request.get(member) is None:
            raise _wrong(f"The parameter {member} is required: the embedded AWS has no alarms without one")
    if request["ComparisonOperator"] not in judging.COMPARISONS:
        raise _wrong(f"{request['ComparisonOperator']} needs anomaly detection, which is not part of the embedded AWS")
    if request.get("TreatMissingData", "missing") not in _MISSING:
        raise _wrong(f"Value for TreatMissingData must be one of {', '.join(_MISSING)}")
    if request.get("DatapointsToAlarm", 1) > request["EvaluationPeriods"]:
        raise _wrong("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    if "Metrics" in request:
        _check_math(request)
    else:
        _check_metric(request)
    wanted = asked(request)
    length = queries.period(wanted)
    if length not in (10, 20, 30) and length % _MINUTE:
        raise _wrong("Period must be 10, 20, 30, or a multiple of 60")
    if request["EvaluationPeriods"] * length > _DAY:
        raise _wrong("Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).")
    reach = (request["EvaluationPeriods"] + judging.MORE_DATAPOINTS) * length
    if reach > metrics.KEPT_SECONDS:
        raise _wrong(f"it looks back {reach} s, and the embedded AWS keeps metrics for {metrics.KEPT_SECONDS} s")
    queries.check(wanted)


def _check_math(request: Alarm) -> None:
    given = [member for member in _OF_ONE_METRIC if member in request]
    if given:
        raise _wrong(f"Metrics list and {', '.join(given)} cannot be given together")
    if "ThresholdMetricId" in request:
        raise _wrong("ThresholdMetricId needs anomaly detection, which is not part of the embedded AWS")
    if sum(query.get("ReturnData", True) for query in request["Metrics"]) != 1:
        raise _wrong("Exactly one element of the metrics list should return data.")


def _check_metric(request: Alarm) -> None:
    for member in ("MetricName", "Namespace", "Period"):
        if request.get(member) is None:
            raise _wrong(f"The parameter {member} is required.")
    if not operator.xor("Statistic" in request, "ExtendedStatistic" in request):
        raise _wrong("Give either Statistic or ExtendedStatistic.")


def _wrong(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
