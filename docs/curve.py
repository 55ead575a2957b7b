"""Two endpoints that scale as an SVG: load, what an instance has of it, and how many there are, minute by minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .day import Note
from .drawing import DASHES, FAINT, FOOT, GRID, LEFT, ROW, WIDTH, framed, legend, notes, runs, text, upright
from .scaling_record import Activity, Record, Serving, Sleeping

_LOAD, _SHARE, _INSTANCES, _COPIES, _REFUSED = "#94a3b8", "#7a3e9d", "#1b6ca8", "#6a9a1f", "#c2662b"
_HEAD, _GAP, _BETWEEN = 80, 16, 26  # heights: title and marks, between panels, between endpoints

Values = Sequence[float | None]


@dataclass(frozen=True)
class _Panel:
    """One of the plots above each other.

    :param areas: filled from the ground, the later over the earlier, with colours.
    :param line: a line, with its colour; ``dashed``: what is wanted.
    """

    counts: str
    height: float
    areas: Sequence[tuple[Values, str]] = ()
    line: tuple[Values, str] | None = None
    dashed: Values = ()

    @property
    def most(self) -> int:
        several = [*(values for values, _ in self.areas), self.line[0] if self.line else (), self.dashed]
        return max(1, *(-int(-(value or 0) // 1) for values in several for value in values))


@dataclass(frozen=True)
class _Section:
    """One endpoint."""

    title: str
    entries: Sequence[tuple[str, str | None]]
    panels: Sequence[_Panel]
    notes: Sequence[Note]


def draw(record: Record, *, title: str) -> str:
    """The picture as text. The same record gives the same text."""
    x, parts, top = _across(record.minutes), list[str](), 16.0
    for section in (_serving(record.serving), _sleeping(record.sleeping)):
        parts.append(text(LEFT, top + 12, section.title, weight="bold"))
        parts.append(text(LEFT + WIDTH, top + 12, "hours:minutes of the clock", colour=FAINT, anchor="end"))
        parts += legend(section.entries, top + 30)
        bottom = first = top + _HEAD
        for panel in section.panels:
            bottom += panel.height
            parts += _panel(panel, bottom, x)
            bottom += _GAP
        bottom -= _GAP
        parts += _minutes(record.minutes, bottom, x)
        parts += notes(section.notes, x, _time, marks=first - 22, bottom=bottom)
        top = bottom + FOOT + ROW * ((len(section.notes) + 1) // 2) + _BETWEEN
    return framed(parts, top, title=title)


def _serving(serving: Serving) -> _Section:
    loads = [
        Note(minute, f"the load is {level} request{'s' if level > 1 else ''} at a time", ours=False)
        for minute, (before, level) in enumerate(pairwise(serving.asked), 1)
        if level != before
    ]
    return _Section(
        f"Under load: 1 to {max(serving.instances)} instances, concurrent-requests with a target of {serving.target:g}",
        [
            ("requests at a time", _LOAD),
            ("the most at one instance", _SHARE),
            ("instances in service", _INSTANCES),
            ("target, desired instances", None),
        ],
        [
            _Panel("requests", 78, areas=[(serving.asked, _LOAD)]),
            _Panel("at one", 78, line=(serving.concurrent, _SHARE), dashed=[serving.target] * len(serving.asked)),
            _Panel("instances", 78, areas=[(serving.instances, _INSTANCES)], dashed=serving.desired),
        ],
        _in_order(loads, serving.activities, ("instance", "instances")),
    )


def _sleeping(sleeping: Sleeping) -> _Section:
    happened = [
        *_firsts(sleeping.refused, "the first request is refused"),
        *_firsts(sleeping.answered, "the first answer"),
        *(
            Note(minute, "the idle instance is given back", ours=False)
            for minute, (before, count) in enumerate(pairwise(sleeping.instances), 1)
            if count < before
        ),
    ]
    asked = [answered + refused for answered, refused in zip(sleeping.answered, sleeping.refused, strict=True)]
    return _Section(
        "Asleep: one component, 0 to 1 copies on 0 to 1 instances",
        [
            ("requests a minute", _LOAD),
            ("of them refused, no capacity", _REFUSED),
            ("copies", _COPIES),
            ("instances", _INSTANCES),
        ],
        [
            _Panel("requests", 66, areas=[(asked, _LOAD), (sleeping.refused, _REFUSED)]),
            _Panel("copies", 56, areas=[(sleeping.copies, _COPIES)]),
            _Panel("instances", 56, areas=[(sleeping.instances, _INSTANCES)]),
        ],
        _in_order(happened, sleeping.activities, ("copy", "copies")),
    )


def _firsts(counts: Sequence[int], what: str) -> Iterator[Note]:
    found = next((minute for minute, count in enumerate(counts) if count), None)
    if found is not None:
        yield Note(found, what, ours=False)


def _in_order(happened: Sequence[Note], activities: Sequence[Activity], names: tuple[str, str]) -> Sequence[Note]:
    done = [
        Note(each.minute, f"{each.policy}: {each.wanted} {names[each.wanted != 1]}", ours=True) for each in activities
    ]
    return sorted([*happened, *done], key=lambda note: note.minute)


def _panel(panel: _Panel, bottom: float, x: Callable[[int], float]) -> Iterator[str]:
    def y(value: float) -> float:
        return round(bottom - panel.height * value / panel.most, 1)

    for count in range(0, panel.most + 1, 1 if panel.most <= 4 else 2):
        yield f'<path d="M{LEFT} {y(count):g}h{WIDTH}" stroke="{FAINT if count == 0 else GRID}"/>'
        yield text(LEFT - 8, y(count) + 4, str(count), colour=FAINT, anchor="end")
    yield upright(LEFT - 36, bottom - panel.height / 2, panel.counts)
    for values, colour in panel.areas:
        shapes = [
            f"M{x(start):g} {bottom:g}V{y(value):g}H{x(end):g}V{bottom:g}z"
            for start, end, value in runs(values)
            if value
        ]
        yield f'<path d="{"".join(shapes)}" fill="{colour}"/>'
    if panel.line:
        yield f'<path d="{_stairs(panel.line[0], x, y)}" fill="none" stroke="{panel.line[1]}" stroke-width="2"/>'
    if panel.dashed:
        yield f'<path d="{_stairs(panel.dashed, x, y)}" fill="none" {DASHES}/>'


def _stairs(values: Values, x: Callable[[int], float], y: Callable[[float], float]) -> str:
    """A line with a gap where there is no value."""
    parts, drawn = list[str](), False
    for start, end, value in runs(values):
        if value is not None:
            parts.append(f"{'L' if drawn else 'M'}{x(start):g} {y(value):g}H{x(end):g}")
        drawn = value is not None
    return "".join(parts)


def _minutes(count: int, bottom: float, x: Callable[[int], float]) -> Iterator[str]:
    for minute in range(0, count + 1, 5):
        yield f'<path d="M{x(minute):g} {bottom:g}v5" stroke="{FAINT}"/>'
        yield text(x(minute), bottom + 18, _time(minute), colour=FAINT, anchor="middle")


def _across(minutes: int) -> Callable[[int], float]:
    return lambda minute: round(LEFT + WIDTH * minute / minutes, 1)


def _time(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02}"
