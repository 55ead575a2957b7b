"""When a scheduled action is due: ``at``, ``rate`` and ``cron`` ("Schedule", API reference of PutScheduledAction).

Cron has six fields; ``L``, ``W`` and ``#`` in them are refused. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from .autoscaling import cron

_FORM = re.compile(r"(at|rate|cron)\((.*)\)")
_RATE = re.compile(r"(\d+) (minute|hour|day)s?")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_LAST_YEAR = 2199


def following(schedule: str, after: float, zone: tzinfo = UTC, start: float | None = None) -> float | None:
    """The first moment after ``after``; None when there is none any more. Epoch seconds. Raises ``ValueError``.

    :param start: from when a rate counts.
    """
    form = _FORM.fullmatch(schedule)
    if form is None:
        raise ValueError("it has the form at(…), rate(…) or cron(…)")
    kind, text = form.groups()
    if kind == "at":
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).timestamp()
        return moment if moment > after else None
    if kind == "rate":
        rate = _RATE.fullmatch(text)
        if rate is None or int(rate[1]) < 1:
            raise ValueError("a rate is a number and minutes, hours or days")
        seconds = int(rate[1]) * _SECONDS[rate[2]]
        begun = after if start is None else start
        return begun + (max(after - begun, 0) // seconds + 1) * seconds
    return _cron(text, datetime.fromtimestamp(after, zone))


def _cron(text: str, after: datetime) -> float | None:
    fields = text.split()
    if len(fields) != 6:
        raise ValueError("cron has six fields: minutes, hours, day of the month, month, day of the week, year")
    *most, weekdays, year = fields
    if most[2] != "?" and weekdays != "?":
        raise ValueError("the day of the month or the day of the week is ?")
    if any(letter in field for field in (most[2], weekdays) for letter in "LW#" if not field.isalpha()):
        raise ValueError("L, W and # are not part of the embedded AWS")
    # Weekdays count from 1 for Sunday here, from 0 in the unix form.
    named = re.sub(r"\b[1-7]\b(?!/)", lambda match: str(int(match[0]) - 1), weekdays)
    unix = " ".join([*most, named]).replace("?", "*")
    years = _years(year)
    moment = after
    for _ in range(len(years) + 2):
        moment = cron.following(unix, moment)
        if moment.year in years:
            return moment.timestamp()
        later = [one for one in years if one > moment.year]
        if not later:
            return None
        moment = moment.replace(year=min(later), month=1, day=1, hour=0, minute=0) - timedelta(minutes=1)
    return None


def _years(text: str) -> range | set[int]:
    if text == "*":
        return range(1970, _LAST_YEAR + 1)
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
