"""Unix cron expressions, as scheduled actions recur: ``minute hour day month weekday``."""

from __future__ import annotations

from datetime import datetime, timedelta

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_WEEKDAYS)},
)
_LONGEST = timedelta(days=4 * 366)


def following(expression: str, after: datetime) -> datetime:
    """The first minute after ``after`` that ``expression`` names. Raises ``ValueError``."""
    fields = expression.split()
    if len(fields) != len(_RANGES):
        raise ValueError("it has five fields: minute, hour, day of the month, month, day of the week")
    minutes, hours, days, months, weekdays = (
        _numbers(field, *bounds, names) for field, bounds, names in zip(fields, _RANGES, _NAMES, strict=True)
    )
    weekdays = {day % 7 for day in weekdays}
    either = fields[2] != "*" and fields[4] != "*"  # cron: when both are given, one is enough
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    last = moment + _LONGEST
    while moment <= last:
        by_date, by_weekday = moment.day in days, moment.isoweekday() % 7 in weekdays
        if moment.month not in months or not ((by_date or by_weekday) if either else (by_date and by_weekday)):
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        elif moment.hour not in hours:
            moment = moment.replace(minute=0) + timedelta(hours=1)
        elif moment.minute not in minutes:
            moment += timedelta(minutes=1)
        else:
            return moment
    raise ValueError("it names no moment in the next four years")


def _numbers(field: str, least: int, most: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, end = span.partition("-")
        if first == "*":
            low, high = least, most
        else:
            low = _number(first, names)
            high = _number(end, names) if end else (most if step else low)
        if not least <= low <= high <= most:
            raise ValueError(f"{part} is not within {least}-{most}")
        found |= set(range(low, high + 1, _number(step, {}) if step else 1))
    return found


def _number(text: str, names: dict[str, int]) -> int:
    return names[text.upper()] if text.upper() in names else int(text)
