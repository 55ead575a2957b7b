"""From a path to a deployment that has passed every check, or to everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from . import translate
from .base import Part
from .checks import check
from .codes import CODES, Severity
from .deployment import Deployment
from .findings import Finding, Problem, SpecError, clean, find, show
from .later import not_built
from .source import MAX_BYTES, Pointer, Source, UnreadableError, parse

MAX_FINDINGS = 100
_MAX_PROBLEMS = 300  # then the search ends: naming the nearest of what there is takes its time
_NAMED = ("models", "fleets", "endpoints", "training_clusters")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A deployment without errors. ``findings`` are its warnings and infos, in the order of the file."""

    path: Path
    deployment: Deployment
    findings: tuple[Finding, ...]


def load(path: Path) -> Loaded:
    """Read and check a deployment file.

    :raises SpecError: with every finding, when at least one is an error.
    """
    try:
        source, values = parse(_read(path), str(path))
    except UnreadableError as reason:
        raise SpecError([_of_unreadable(path, reason)]) from None
    deployment, problems = _judge(values, source)
    findings = _in_file_order(source.file, (find(problem, source) for problem in problems))
    if deployment is None or any(finding.severity is Severity.ERROR for finding in findings):
        raise SpecError(findings)
    return Loaded(path, deployment, findings)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableError("NCDK-FILE-001", f"the file cannot be read: {reason}") from None
    except ValueError:  # a path with a zero byte
        raise UnreadableError("NCDK-FILE-001", "the file cannot be read: its name is not a path") from None
    if len(content) > MAX_BYTES:
        raise UnreadableError("NCDK-FILE-002", "the file is larger than 1 MiB", fix="split it: one file an environment")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            "NCDK-FILE-003",
            "the file is not UTF-8",
            line=content.count(b"\n", 0, error.start) + 1,
            column=error.start - content.rfind(b"\n", 0, error.start),
            given=f"byte 0x{content[error.start]:02x}",
            fix="save it as UTF-8",
        ) from None


def _judge(values: dict[str, Any], source: Source) -> tuple[Deployment | None, list[Problem]]:
    """The deployment, or None where a part of it is wrong, and all problems of the parts that could be read."""
    classes: dict[int, type[Part]] = {}
    try:
        deployment = Deployment.model_validate(values, context=classes)
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_input=False)[:_MAX_PROBLEMS]
        problems = list(translate.problems(errors, values, classes, source))
        return None, [*problems, *_problems_of_the_rest(values, [problem.pointer for problem in problems])]
    deployment._source = source
    return deployment, list(islice(chain(check(deployment), not_built(deployment)), _MAX_PROBLEMS))


def _problems_of_the_rest(values: dict[str, Any], refused: list[Pointer]) -> Iterator[Problem]:
    """Check what is left without the parts that pydantic refused, so that one run shows everything.

    Without an environment and a network nothing can be judged. Of what is left only errors are sure, and those
    not about a model that was left out here.
    """
    rest = {section: dict(part) if isinstance(part, dict) else part for section, part in values.items()}
    for section, *names in refused:
        part = rest.get(str(section))
        if section in _NAMED and names and isinstance(part, dict):
            part.pop(names[0], None)
        else:
            rest.pop(str(section), None)
    rest.setdefault("name", "unnamed")
    try:
        deployment = Deployment.model_validate(rest)
    except ValidationError:
        return
    written = values.get("models") or ()
    lost = "models" in values and "models" not in rest
    for problem in islice(check(deployment), _MAX_PROBLEMS):
        left_out = problem.code == "NCDK-MODEL-002" and (lost or problem.given in written)
        if CODES[problem.code].severity is Severity.ERROR and not left_out:
            yield problem


def _in_file_order(file: str, found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Without repetitions, and no more than anybody reads."""
    findings = sorted(set(found), key=lambda finding: (finding.line, finding.column, finding.code, finding.pointer))
    if len(findings) <= MAX_FINDINGS:
        return tuple(findings)
    # Errors first, so that the cut never hides that the file is wrong.
    kept = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)[:MAX_FINDINGS]
    more = Finding("NCDK-FILE-013", CODES["NCDK-FILE-013"].severity, "more findings are not shown", file)
    return (*(finding for finding in findings if finding in kept), more)


def _of_unreadable(path: Path, reason: UnreadableError) -> Finding:
    return Finding(
        code=reason.code,
        severity=CODES[reason.code].severity,
        message=clean(reason.message),
        file=clean(str(path)),
        line=reason.line,
        column=reason.column,
        given=show(reason.given),
        fix=reason.fix,
    )
