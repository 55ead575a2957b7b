"""From datapoints to an alarm's state. Pure.

The rules are those of "Configuring how CloudWatch alarms treat missing data" and "Avoiding premature transitions to
alarm state" (CloudWatch user guide), whose two tables are a test.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
MORE_DATAPOINTS = 2
"""How many datapoints an alarm looks back beyond its evaluation periods: its evaluation range is 5 where it has 3."""

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def state(datapoints: Sequence[bool | None], periods: int, enough: int, missing: str, current: str) -> str:
    """The state that follows.

    :param datapoints: whether each breaches, oldest first, ``None`` where it is missing: the evaluation range.
    :param periods: ``EvaluationPeriods``.
    :param enough: ``DatapointsToAlarm``.
    :param missing: ``TreatMissingData``.
    """
    real = [(age, breaching) for age, breaching in enumerate(reversed(datapoints), 1) if breaching is not None]
    if len(real) >= periods:
        return ALARM if sum(breaching for _, breaching in real[:periods]) >= enough else OK
    if not real:
        return {"breaching": ALARM, "notBreaching": OK, "ignore": current}.get(missing, INSUFFICIENT_DATA)
    breaches = sum(breaching for _, breaching in real)
    if missing == "breaching":
        breaches += periods - len(real)
    elif missing != "notBreaching" and breaches < enough and breaches == len(real) and real[-1][0] >= enough:
        return current if missing == "ignore" else ALARM
    return ALARM if breaches >= enough else OK
