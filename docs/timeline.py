"""Days of fleets as an SVG: instances by pool over the hours, stacked, with marks for what happened and was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .day import MINUTES, Day
from .drawing import DASHES, FAINT, FOOT, GRID, LEFT, ROW, WIDTH, framed, legend, notes, runs, text, upright

COLOURS = {"capacity-block": "#1b6ca8", "spot": "#6a9a1f", "on-demand": "#c2662b"}
_STARTING = "#cbd5e1"
_HEIGHT = 180  # of the plot
_HEAD, _BETWEEN = 74, 26  # heights: title and marks, between days


def draw(days: Sequence[Day], *, title: str) -> str:
    """The picture as text. The same days give the same text."""
    parts, top = list[str](), 16.0
    for day in days:
        parts += _day(day, top)
        top += _HEAD + _HEIGHT + FOOT + ROW * ((len(day.notes) + 1) // 2) + _BETWEEN
    return framed(parts, top, title=title)


def _day(day: Day, top: float) -> Iterator[str]:
    bottom = top + _HEAD + _HEIGHT
    yield text(LEFT, top + 12, day.title, weight="bold")
    yield from legend(
        [*((pool, COLOURS[pool]) for pool in day.serving), ("starting", _STARTING), ("target", None)], top + 30
    )
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
        for start, end, value in runs(day.target)
    )
    yield f'<path d="{way}" fill="none" {DASHES}/>'
    yield from notes(day.notes, _x, _time, marks=bottom - _HEIGHT - 20, bottom=bottom)


def _axes(day: Day, bottom: float) -> Iterator[str]:
    for count in range(0, day.most + 1, 2):
        y = _y(day, bottom, count)
        yield f'<path d="M{LEFT} {y:g}h{WIDTH}" stroke="{FAINT if count == 0 else GRID}"/>'
        yield text(LEFT - 8, y + 4, str(count), colour=FAINT, anchor="end")
    yield upright(LEFT - 36, bottom - _HEIGHT / 2, "instances")
    for hour in range(0, 25, 2):
        yield f'<path d="M{_x(60 * hour):g} {bottom:g}v5" stroke="{FAINT}"/>'
        yield text(_x(60 * hour), bottom + 18, _time(60 * hour), colour=FAINT, anchor="middle")
    yield text(LEFT - 26, bottom + 18, "UTC", colour=FAINT, anchor="end")


def _area(day: Day, bottom: float, below: Sequence[int], above: Sequence[int], colour: str) -> str:
    """Between two stairs; nothing is drawn where they are the same."""
    shapes = []
    for start, end, (low, high) in runs([*zip(below, above, strict=True)]):
        if low < high:
            top, foot = _y(day, bottom, high), _y(day, bottom, low)
            shapes.append(f"M{_x(start):g} {foot:g}V{top:g}H{_x(end):g}V{foot:g}z")
    return f'<path d="{"".join(shapes)}" fill="{colour}"/>'


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _x(minute: int) -> float:
    return round(LEFT + WIDTH * minute / MINUTES, 1)


def _y(day: Day, bottom: float, count: int) -> float:
    return round(bottom - _HEIGHT * count / day.most, 1)
