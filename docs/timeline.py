"""Days of fleets as an SVG: instances by pool over the hours, stacked, with marks for what happened and was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TypeVar

from .day import MINUTES, Day, Note

Value = TypeVar("Value")

COLOURS = {"capacity-block": "#1b6ca8", "spot": "#6a9a1f", "on-demand": "#c2662b"}
_STARTING = "#cbd5e1"
_INK, _FAINT = "#1f2937", "#64748b"
_LEFT, _WIDTH, _HEIGHT = 62, 900, 180  # of the plot
_MARK = 9  # radius
_HEAD, _FOOT, _ROW, _BETWEEN = 74, 30, 20, 26  # heights: title and marks, hours, a note, between days


def draw(days: Sequence[Day], *, title: str) -> str:
    """The picture as text. The same days give the same text."""
    parts, top = list[str](), 16.0
    for day in days:
        parts += _day(day, top)
        top += _HEAD + _HEIGHT + _FOOT + _ROW * ((len(day.notes) + 1) // 2) + _BETWEEN
    width = _LEFT + _WIDTH + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {top:g}" width="{width:g}" '
            f'height="{top:g}" font-family="Helvetica, Arial, sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{top:g}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _day(day: Day, top: float) -> Iterator[str]:
    bottom = top + _HEAD + _HEIGHT
    yield _text(_LEFT, top + 12, day.title, weight="bold")
    yield from _legend(day, top + 30)
    yield from _axes(day, bottom)
    below = [0] * MINUTES
    for pool, counts in day.serving.items():
        above = [low + count for low, count in zip(below, counts, strict=True)]
        yield _area(day, bottom, below, above, COLOURS[pool])
        below = above
    above = [low + count for low, count in zip(below, day.starting, strict=True)]
    yield _area(day, bottom, below, above, _STARTING)
    way = "".join(
        f"{'M' if start == 0 else 'L'}{_x(start):g} {_y(day, bottom, value):g}H{_x(end):g}"
        for start, end, value in _runs(day.target)
    )
    yield f'<path d="{way}" fill="none" stroke="{_INK}" stroke-width="1.4" stroke-dasharray="5 3"/>'
    yield from _notes(day.notes, bottom)


def _legend(day: Day, y: float) -> Iterator[str]:
    """What the colours are, in one line under the title."""
    x = float(_LEFT)
    for name, colour in [*((pool, COLOURS[pool]) for pool in day.serving), ("starting", _STARTING)]:
        yield f'<rect x="{x:g}" y="{y - 9:g}" width="11" height="11" fill="{colour}"/>'
        yield _text(x + 16, y, name)
        x += 32 + 7 * len(name)
    yield f'<path d="M{x:g} {y - 4:g}h22" stroke="{_INK}" stroke-width="1.4" stroke-dasharray="5 3"/>'
    yield _text(x + 28, y, "target")


def _axes(day: Day, bottom: float) -> Iterator[str]:
    for count in range(0, day.most + 1, 2):
        y = _y(day, bottom, count)
        yield f'<path d="M{_LEFT} {y:g}h{_WIDTH}" stroke="{_FAINT if count == 0 else "#e2e8f0"}"/>'
        yield _text(_LEFT - 8, y + 4, str(count), colour=_FAINT, anchor="end")
    middle = bottom - _HEIGHT / 2
    yield (
        f'<text x="{_LEFT - 36:g}" y="{middle:g}" fill="{_FAINT}" text-anchor="middle" '
        f'transform="rotate(-90 {_LEFT - 36:g} {middle:g})">instances</text>'
    )
    for hour in range(0, 25, 2):
        yield f'<path d="M{_x(60 * hour):g} {bottom:g}v5" stroke="{_FAINT}"/>'
        yield _text(_x(60 * hour), bottom + 18, f"{hour:02}:00", colour=_FAINT, anchor="middle")
    yield _text(_LEFT - 26, bottom + 18, "UTC", colour=_FAINT, anchor="end")


def _notes(notes: Sequence[Note], bottom: float) -> Iterator[str]:
    """A number where it happened, filled where the controller acted, and below what it stands for, in two columns."""
    rows = (len(notes) + 1) // 2
    free = 0.0
    for number, note in enumerate(notes, 1):
        at = _x(note.minute)
        x, y = max(at, free), bottom - _HEIGHT - 20
        free = x + 2 * _MARK + 3
        yield (
            f'<path d="M{x:g} {y + _MARK:g}L{at:g} {y + 2 * _MARK:g}V{bottom:g}" fill="none" stroke="{_INK}" '
            f'stroke-width="0.8" stroke-dasharray="2 2"/>'
        )
        yield from _mark(number, note, x, y)
        column, row = divmod(number - 1, rows)
        left, line = _LEFT + _MARK + column * _WIDTH / 2, bottom + _FOOT + _ROW * (row + 0.5)
        yield from _mark(number, note, left, line)
        time = f"{note.minute // 60:02}:{note.minute % 60:02}"
        yield _text(left + 18, line + 4, f"{time}  {note.text}", weight="bold" if note.ours else "normal")


def _mark(number: int, note: Note, x: float, y: float) -> Iterator[str]:
    fill, ink = (_INK, "#ffffff") if note.ours else ("#ffffff", _INK)
    yield f'<circle cx="{x:g}" cy="{y:g}" r="{_MARK}" fill="{fill}" stroke="{_INK}"/>'
    yield _text(x, y + 4, str(number), colour=ink, anchor="middle")


def _area(day: Day, bottom: float, below: Sequence[int], above: Sequence[int], colour: str) -> str:
    """Between two stairs; nothing is drawn where they are the same."""
    shapes = []
    for start, end, (low, high) in _runs([*zip(below, above, strict=True)]):
        if low < high:
            top, foot = _y(day, bottom, high), _y(day, bottom, low)
            shapes.append(f"M{_x(start):g} {foot:g}V{top:g}H{_x(end):g}V{foot:g}z")
    return f'<path d="{"".join(shapes)}" fill="{colour}"/>'


def _runs(values: Sequence[Value]) -> Iterator[tuple[int, int, Value]]:
    """Minutes from and to which a value stays the same."""
    start = 0
    for value, same in groupby(values):
        end = start + sum(1 for _ in same)
        yield start, end, value
        start = end


def _x(minute: int) -> float:
    return round(_LEFT + _WIDTH * minute / MINUTES, 1)


def _y(day: Day, bottom: float, count: int) -> float:
    return round(bottom - _HEIGHT * count / day.most, 1)


def _text(x: float, y: float, text: str, *, colour: str = _INK, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}" '
        f'xml:space="preserve">{escape(text)}</text>'
    )
