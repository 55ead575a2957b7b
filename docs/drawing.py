"""What pictures over time have in common: the frame, texts, stairs, and numbered notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TypeVar

from .day import Note

Value = TypeVar("Value")

INK, FAINT, GRID = "#1f2937", "#64748b", "#e2e8f0"
LEFT, WIDTH = 62, 900  # of a plot
MARK, ROW = 9, 20  # radius of a note's mark, height of its line
FOOT = 30  # height of the hours or minutes under a plot
DASHES = f'stroke="{INK}" stroke-width="1.4" stroke-dasharray="5 3"'


def framed(parts: Sequence[str], height: float, *, title: str) -> str:
    """The picture as text."""
    width = LEFT + WIDTH + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="Helvetica, Arial, sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def text(x: float, y: float, text: str, *, colour: str = INK, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}" '
        f'xml:space="preserve">{escape(text)}</text>'
    )


def upright(x: float, y: float, text: str) -> str:
    """What an axis counts, from below to above."""
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{FAINT}" text-anchor="middle" '
        f'transform="rotate(-90 {x:g} {y:g})">{escape(text)}</text>'
    )


def legend(entries: Sequence[tuple[str, str | None]], y: float) -> Iterator[str]:
    """What the colours are, in a line; None is the dashed line."""
    x = float(LEFT)
    for name, colour in entries:
        if colour is None:
            yield f'<path d="M{x:g} {y - 4:g}h22" {DASHES}/>'
            yield text(x + 28, y, name)
            x += 44 + 7 * len(name)
        else:
            yield f'<rect x="{x:g}" y="{y - 9:g}" width="11" height="11" fill="{colour}"/>'
            yield text(x + 16, y, name)
            x += 32 + 7 * len(name)


def runs(values: Sequence[Value]) -> Iterator[tuple[int, int, Value]]:
    """Minutes from and to which a value stays the same."""
    start = 0
    for value, same in groupby(values):
        end = start + sum(1 for _ in same)
        yield start, end, value
        start = end


def notes(
    found: Sequence[Note], x_of: Callable[[int], float], time_of: Callable[[int], str], *, marks: float, bottom: float
) -> Iterator[str]:
    """A number where it happened, filled where it was done by who decides, and below the plot what it stands for.

    :param marks: the height of the marks; a line leads down to ``bottom``, and two columns of lines come under it.
    """
    rows = (len(found) + 1) // 2
    free = 0.0
    for number, note in enumerate(found, 1):
        at = x_of(note.minute)
        x = max(at, free)
        free = x + 2 * MARK + 3
        yield (
            f'<path d="M{x:g} {marks + MARK:g}L{at:g} {marks + 2 * MARK:g}V{bottom:g}" fill="none" stroke="{INK}" '
            f'stroke-width="0.8" stroke-dasharray="2 2"/>'
        )
        yield from _mark(number, note, x, marks)
        column, row = divmod(number - 1, rows)
        left, line = LEFT + MARK + column * WIDTH / 2, bottom + FOOT + ROW * (row + 0.5)
        yield from _mark(number, note, left, line)
        weight = "bold" if note.ours else "normal"
        yield text(left + 18, line + 4, f"{time_of(note.minute)}  {note.text}", weight=weight)


def _mark(number: int, note: Note, x: float, y: float) -> Iterator[str]:
    fill, ink = (INK, "#ffffff") if note.ours else ("#ffffff", INK)
    yield f'<circle cx="{x:g}" cy="{y:g}" r="{MARK}" fill="{fill}" stroke="{INK}"/>'
    yield text(x, y + 4, str(number), colour=ink, anchor="middle")
