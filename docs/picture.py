"""Stacks as an SVG: a box each, and lines from what a stack gives to the stacks that take it.

A column is as far from the left as its longest chain of dependencies. Every stack that gives something has a colour, a
lane above the boxes and a track in each gutter between columns, so that lines cross and never share a way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .assembly import Stack

COLOURS = ("#1b6ca8", "#b3541e", "#4d7c0f", "#7a3e9d", "#a61e4d", "#0f766e")
LINE, TITLE, PAD = 18, 26, 12  # heights of a line and a title, space inside a box
LANE, TRACK = 11, 11  # between two lanes, between two tracks
GAP = 26  # between boxes of a column
CHARACTER = 6.9  # width of one at 12 px, generously: fonts differ


@dataclass(frozen=True)
class Box:
    """A stack with its place."""

    stack: Stack
    column: int
    left: float
    top: float
    width: float

    @property
    def height(self) -> float:
        rows = len(self.stack.resources) + len(self.stack.uses)
        return TITLE + 2 * PAD + LINE * rows + (PAD if self.stack.uses else 0)

    @property
    def port(self) -> tuple[float, float]:
        """Where lines leave."""
        return self.left + self.width, self.top + TITLE / 2

    def resource_line(self, index: int) -> float:
        return self.top + TITLE + PAD + LINE * (index + 0.7)

    def entry(self, producer: str) -> float:
        """The height at which a line from ``producer`` comes in."""
        row = len(self.stack.resources) + list(self.stack.uses).index(producer)
        return self.top + TITLE + 2 * PAD + LINE * (row + 0.5)


def draw(stacks: Sequence[Stack], *, title: str) -> str:
    """The picture as text. The same stacks give the same text."""
    producers = [stack.name for stack in stacks if any(stack.name in other.uses for other in stacks)]
    boxes = _placed(stacks, len(producers))
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(producers)}
    width = max(box.left + box.width for box in boxes.values()) + 20
    height = max(box.top + box.height for box in boxes.values()) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
    ]
    for index, name in enumerate(producers):
        parts += _lines(boxes, name, index, colours[name])
    for box in boxes.values():
        parts += _box(box, colours)
    return "\n".join([*parts, "</svg>", ""])


def _placed(stacks: Sequence[Stack], producers: int) -> dict[str, Box]:
    column: dict[str, int] = {}
    for stack in stacks:  # producers come first
        column[stack.name] = 1 + max((column[name] for name in stack.uses), default=-1)
    boxes: dict[str, Box] = {}
    left = 20.0
    for number in range(max(column.values()) + 1):
        members = [stack for stack in stacks if column[stack.name] == number]
        texts = [text for stack in members for text in (stack.name + "    ", *stack.resources, *_taken(stack))]
        width = 2 * PAD + CHARACTER * max(map(len, texts))
        top = 20.0 + LANE * producers
        for stack in members:
            boxes[stack.name] = box = Box(stack, number, left, top, round(width))
            top += box.height + GAP
        left += round(width) + 30 + TRACK * producers
    return boxes


def _taken(stack: Stack) -> Iterator[str]:
    for producer, things in stack.uses.items():
        yield f"{_short(producer)}: {', '.join(things)}"


def _short(name: str) -> str:
    """A stack's name without the deployment's."""
    return name.partition("-")[2] or name


def _lines(boxes: dict[str, Box], producer: str, index: int, colour: str) -> Iterator[str]:
    """From a producer's port up to its lane, along it, and down a track to every consumer."""
    source = boxes[producer]
    right = {
        box.column: max(b.left + b.width for b in boxes.values() if b.column == box.column) for box in boxes.values()
    }
    lane = 14 + LANE * index

    def track(column: int) -> float:
        """In the gutter before ``column``."""
        return right[column - 1] + 12 + TRACK * index

    entries: dict[int, list[float]] = {}
    for box in boxes.values():
        if producer in box.stack.uses:
            entries.setdefault(box.column, []).append(box.entry(producer))
    start, port = source.port
    first, last = source.column + 1, max(entries)
    ends = {column: [*found, lane] if last > first else found for column, found in entries.items()}
    ends[first] = [*ends.get(first, []), port, *([lane] if last > first else [])]
    ways = [f"M{start:g} {port:g}H{track(first):g}"]
    if last > first:
        ways.append(f"M{track(first):g} {lane:g}H{track(last):g}")
    ways += [f"M{track(column):g} {min(ys):g}V{max(ys):g}" for column, ys in sorted(ends.items())]
    for column, ys in sorted(entries.items()):
        side = next(box.left for box in boxes.values() if box.column == column)
        for y in sorted(ys):
            ways.append(f"M{track(column):g} {y:g}H{side - 6:g}")
            yield f'<path d="M{side:g} {y:g}l-8 -4v8z" fill="{colour}"/>'
    yield f'<path d="{"".join(ways)}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linecap="square"/>'


def _box(box: Box, colours: dict[str, str]) -> Iterator[str]:
    name = box.stack.name
    colour = colours.get(name, "#4b5563")
    yield (
        f'<rect x="{box.left:g}" y="{box.top:g}" width="{box.width:g}" height="{box.height:g}" rx="5" '
        f'fill="#f8fafc" stroke="{colour}" stroke-width="1.2"/>'
    )
    yield (
        f'<path d="M{box.left:g} {box.top + TITLE:g}v{5 - TITLE}q0 -5 5 -5h{box.width - 10:g}q5 0 5 5v{TITLE - 5}z" '
        f'fill="{colour}"/>'
    )
    x = box.left + PAD
    yield f'<text x="{x:g}" y="{box.top + 17.5:g}" fill="#ffffff" font-weight="bold">{escape(name)}</text>'
    for index, text in enumerate(box.stack.resources):
        yield f'<text x="{x:g}" y="{box.resource_line(index):g}" fill="#1f2937">{escape(text)}</text>'
    if box.stack.uses:
        rule = box.entry(next(iter(box.stack.uses))) - LINE / 2 - PAD / 2
        yield f'<path d="M{x:g} {rule:g}h{box.width - 2 * PAD:g}" stroke="#cbd5e1"/>'
    for producer, text in zip(box.stack.uses, _taken(box.stack), strict=True):
        y = box.entry(producer) + 4
        yield f'<text x="{x:g}" y="{y:g}" fill="{colours[producer]}">{escape(text)}</text>'
