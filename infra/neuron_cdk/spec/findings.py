"""What was found wrong with a deployment, and how its reader gets to see it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from .codes import CODES, Code, Severity
from .source import Pointer, Source

SHOWN_CHARACTERS = 60
_HIDDEN = "(not shown: it may be a secret)"


class Problem(NamedTuple):
    """What a check found, before anybody knows which line of which file says it."""

    code: str
    pointer: Pointer
    message: str
    allowed: str = ""
    fix: str = ""
    given: object = None  # None: whatever the file has there
    at_name: bool = False  # the name of the field is at fault, not its value


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and its place. ``line`` and ``column`` count from 1; 0 stands for the file as a whole."""

    code: str
    severity: Severity
    message: str
    file: str
    line: int = 0
    column: int = 0
    pointer: str = ""
    given: str = ""
    allowed: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        subject = f"{self.pointer}: " if self.pointer else ""
        details = (("given", self.given), ("allowed", self.allowed), ("do", self.fix))
        return "\n".join(
            [
                f"{place}: {self.severity} {self.code} {subject}{self.message}",
                *(f"    {label + ':':9}{text}" for label, text in details if text),
            ]
        )

    def to_json(self) -> dict[str, str | int]:
        """The finding as plain values, for ``validate --json``."""
        return asdict(self)


class SpecError(Exception):
    """A deployment that cannot be used. ``findings`` holds every reason, errors and lesser ones, in file order."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


def find(problem: Problem, source: Source | None, codes: Mapping[str, Code] = CODES) -> Finding:
    """Give a problem its place in the file, if there is a file. ``codes`` has the problem's."""
    line, column = source.locate(problem.pointer, at_name=problem.at_name) if source else (0, 0)
    given = problem.given
    if given is None:
        given = source.written(problem.pointer) if source else ""
    return Finding(
        code=problem.code,
        severity=codes[problem.code].severity,
        message=clean(problem.message),
        file=clean(source.file) if source else "",
        line=line,
        column=column,
        pointer=dotted(problem.pointer),
        given=_HIDDEN if _is_secret(problem.pointer, given) else show(given),
        allowed=clean(problem.allowed),
        fix=clean(problem.fix),
    )


def _is_secret(pointer: Pointer, given: object) -> bool:
    """Whether somebody may have pasted a secret where the name of one belongs: findings end up in logs."""
    return bool(pointer) and pointer[-1] == "token" and bool(given) and not str(given).startswith("arn:")


def show(value: object) -> str:
    """A value from a file, safe and short enough to print: no control characters, one line, at most 60 characters."""
    text = clean(str(value)[: SHOWN_CHARACTERS * 4])
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def clean(text: str) -> str:
    """A text on one line, without what a terminal would obey."""
    if text.isprintable():
        return text.strip()
    spaced = (" " if char.isspace() else char for char in text)
    return "".join(char for char in spaced if unicodedata.category(char)[0] != "C").strip()


def dotted(pointer: Pointer) -> str:
    """A pointer as people write it: ``fleets.pretrain.instance_types[0]``."""
    text = ""
    for part in pointer:
        text += f"[{part}]" if isinstance(part, int) else f".{show(part)}"
    return text.removeprefix(".")
