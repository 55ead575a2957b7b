"""AWS's six-field cron expressions."""

from __future__ import annotations

import re
from calendar import monthrange

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# name, lowest, highest, words that stand for numbers (the first for the lowest), what else the field alone may say
_FIELDS: tuple[tuple[str, int, int, list[str], str], ...] = (
    ("a minute", 0, 59, [], ""),
    ("an hour", 0, 23, [], ""),
    ("a day of month", 1, 31, [], r"\?|L|LW|[0-9]{1,2}W"),
    ("a month", 1, 12, _MONTHS, ""),
    ("a day of week", 1, 7, _DAYS, r"\?|L|[1-7]L|[1-7]#[1-5]"),
    ("a year", 1970, 2199, [], ""),
)
_ITEM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/([0-9]{1,4}))?")


def mistake(expression: str) -> str | None:
    """What is wrong with an expression, or None."""
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        return f"a cron expression has six fields, and this has {len(fields)}"
    for text, (name, lowest, highest, words, special) in zip(fields, _FIELDS, strict=True):
        if re.fullmatch(special, text):
            continue
        if not all(_valid(item, lowest, highest, words) for item in text.split(",")):
            return f"{text[:20]} is not {name} ({lowest} to {highest})"
    if (fields[2] == "?") == (fields[4] == "?"):
        return "exactly one of day of month and day of week is ?"
    if not _has_a_day(fields[2], fields[3], fields[5]):
        return f"there is no day {fields[2][:20]} in month {fields[3][:20]}, so it never comes"
    return None


def last_year(expression: str) -> int | None:
    """The last year in which a valid expression comes true, None when there is no such year in sight."""
    last = 0
    for item in expression.split()[5].split(","):
        match = _ITEM.fullmatch(item)
        first, end, step = match.groups() if match else ("*", None, None)
        if first == "*" or (step and end is None):
            return None
        last = max(last, _number(end or first))
    return last


def _has_a_day(days: str, months: str, years: str) -> bool:
    """Whether any of the days of month is in the calendar of any of the months and years. All three are valid."""
    earliest = min(_values(days.removesuffix("W"), 2)) if days[0].isdigit() or "," in days else 1
    return any(earliest <= monthrange(year, month)[1] for year in _values(years, 5) for month in _values(months, 3))


def _values(text: str, field: int) -> set[int]:
    """The numbers that a valid field stands for."""
    _, lowest, highest, words, _ = _FIELDS[field]
    numbers = {word: lowest + index for index, word in enumerate(words)}
    values: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        assert match
        first, last, step = match.groups()
        begin = lowest if first == "*" else numbers.get(first.upper(), _number(first))
        end = highest if first == "*" or (step and not last) else begin
        end = numbers.get(last.upper(), _number(last)) if last else end
        values.update(range(begin, end + 1, int(step or 1)))
    return values


def _valid(item: str, lowest: int, highest: int, words: list[str]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None:
        return False
    first, last, step = match.groups()
    if first == "*":
        return last is None and (step is None or int(step) > 0)
    numbers = {word: lowest + index for index, word in enumerate(words)}
    values = [numbers.get(text.upper(), _number(text)) for text in (first, last) if text]
    in_range = all(lowest <= value <= highest for value in values)
    return in_range and values == sorted(values) and (step is None or int(step) > 0)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1
