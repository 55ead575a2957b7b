"""Whether what an engine made answers as the model it was made from.

Where its programs can run on this host, every one is loaded and asked every example that fits it, fewer rows padded as
the server pads them. Where they cannot (a program for a NeuronCore, on a host that has none), the model itself is asked
on the CPU. Either way the examples go into the artifact's ``golden.json`` with the right answers, and whoever serves
the artifact asks them again (``neuron_hooks.endpoint.golden`` gives the form of that file, ``examples`` where they come
from).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import examples, golden
from .checks import Checks, Run, Tensors
from .engines import Compiled, Program
from .errors import JobError
from .golden import Case, Tolerance
from .source import files_in

_MOST_UNFIT = 100  # told, which is more than anybody reads, and little for a manifest
_SHOWN = 4


@dataclass
class _Report:
    ran: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def verify(engine: str, dtype: str, compiled: Compiled, source: Path, output: Path) -> dict[str, Any]:
    """Check an artifact before its manifest is written, and write its ``golden.json`` where it can have one.

    Gives the manifest's ``verification``: ``ran`` and ``left`` (what could not be checked here, each with the reason),
    ``examples`` (how many), ``max_error`` (the largest, as a part of the output's largest value), ``tolerance``,
    ``reference`` and ``seconds``; ``unfit`` where examples of the source fit no program: the first 100, in words.

    :raises JobError: for a program that is not there, does not load, or answers wrongly.
    """
    started = time.monotonic()
    report = _Report()
    _files(compiled.programs, output)
    report.ran.append("files")
    if compiled.programs and compiled.checks is None:
        where = f"what {engine} makes is loaded by its own server, on Neuron devices only"
        report.left += [f"loads: {where}", f"golden: {where}; the model's smoke test is what asks it"]
    elif compiled.checks is not None:
        usual = golden.tolerance_of(dtype)
        given, tolerance = examples.given(source, usual, compiled.inputs)
        _examples(compiled, compiled.checks, given, tolerance, output, report)
    report.facts["seconds"] = round(time.monotonic() - started, 3)
    print(f"verified in {report.facts['seconds']} s: {', '.join(report.ran)}", flush=True)
    for reason in report.left:
        print(f"not verified here: {reason}", flush=True)
    return {"ran": report.ran, "left": report.left, **report.facts}


def _files(programs: Sequence[Program], output: Path) -> None:
    for program in programs:
        path = output / program.file
        files = files_in(path) if path.is_dir() else [path] if path.is_file() else []
        if not any(file.stat().st_size for file in files):
            raise JobError(f"the compiler ended well, but {program.file} is missing or empty")


def _examples(
    compiled: Compiled, checks: Checks, given: Sequence[Case], tolerance: Tolerance, output: Path, report: _Report
) -> None:
    answered: dict[str, Case] = {}
    used: set[str] = set()
    worst = 0.0
    limits = examples.limits(compiled.inputs, checks.original, compiled.programs[0])
    for program in compiled.programs:
        run = checks.load(output / program.file) if checks.load else None
        fitting = [case for case in given if examples.fits(case, compiled.inputs, program)]
        used |= {case.key() for case in fitting}
        asked = [_given(case, checks, tolerance) for case in fitting if case.key() not in answered]
        asked += [answered[case.key()] for case in fitting if case.key() in answered]
        for case in asked or _made(compiled, checks, limits, program):
            # Of a made one, the answer of the smallest batch that takes it: so the server answers.
            answered.setdefault(case.key(), case)
            if run:
                worst = max(worst, _compare(compiled, program, run, case, tolerance))
    if checks.load:
        report.ran += ["loads", "golden"]
        report.facts["max_error"] = worst
    else:
        report.left += [f"loads: {checks.why_not}", f"golden: {checks.why_not}; whoever serves the artifact asks"]
    unfit = [f"example {index} ({_shapes(case)})" for index, case in enumerate(given) if case.key() not in used]
    if unfit:
        report.left.append(
            f"golden: {_some(unfit)} of the source's {golden.FILE} has the shape of no program; programs here: "
            + _some([_shape(program) for program in compiled.programs])
        )
        report.facts["unfit"] = unfit[:_MOST_UNFIT]
    steady = [case for case in answered.values() if _is_steady(case, checks, tolerance)]
    if len(steady) < len(answered):
        report.left.append(
            f"golden.json: {len(answered) - len(steady)} of {len(answered)} examples are not in it: the model answers "
            f"them differently with other rows beside them; give the source a {golden.FILE} with real inputs"
        )
    content, reasons = golden.document(steady, tolerance)
    report.left += reasons
    if content:
        (output / golden.FILE).write_bytes(content)
    by_source = any(case.outputs for case in given)
    report.facts |= {
        "examples": len(answered),
        "tolerance": tolerance.to_json(),
        "reference": f"{golden.FILE} of the source" if by_source else "original model on the host's CPU",
    }


def _shapes(case: Case) -> str:
    return ", ".join(f"{name} {list(value.shape)}" for name, value in case.inputs.items())


def _shape(program: Program) -> str:
    length = "" if program.sequence_length is None else f" by sequence {program.sequence_length}"
    return f"batch {program.batch_size}{length}"


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def _given(case: Case, checks: Checks, tolerance: Tolerance) -> Case:
    """An example of the source with the right answers: those it has, which the model itself must give, and its own."""
    own = dict(checks.original(case.inputs))
    for name, expected in case.outputs.items():
        if name not in own:
            raise JobError(f"{golden.FILE} of the source expects output {name!r}; the model gives {sorted(own)}")
        expected = expected.astype(own[name].dtype)
        _, problem = golden.difference(own[name], expected, tolerance)
        if problem:
            raise JobError(f"the model itself answers otherwise than its {golden.FILE}: output {name!r} {problem}")
        own[name] = expected
    return Case(case.inputs, own)


def _made(compiled: Compiled, checks: Checks, limits: Mapping[str, int], program: Program) -> Iterator[Case]:
    """Made examples with the model's own answers, to inputs padded as the program's are.

    Not to the rows alone: what nobody trained it for a model may answer a little differently from batch to batch, by
    the order of its sums alone. That is no fault of the compile.
    """
    for case in examples.made(compiled.inputs, limits, program):
        answers = checks.original(examples.padded(case, compiled.inputs, program.batch_size))
        yield Case(case.inputs, _first(answers, compiled, examples.rows(case, compiled.inputs)))


def _is_steady(case: Case, checks: Checks, tolerance: Tolerance) -> bool:
    """Whether the answers do not hang on the batch they came with: another host would add up otherwise, too."""
    own = checks.original(case.inputs)
    return not any(golden.difference(own[name], case.outputs[name], tolerance)[1] for name in case.outputs)


def _first(answers: Tensors, compiled: Compiled, rows: int | None) -> dict[str, Any]:
    """The answers without those to padding."""
    return {
        one["name"]: answers[one["name"]]
        if rows is None or "batch" not in one["shape"]
        else answers[one["name"]].take(range(rows), axis=one["shape"].index("batch"))
        for one in compiled.outputs
    }


def _compare(compiled: Compiled, program: Program, run: Run, case: Case, tolerance: Tolerance) -> float:
    """The largest error of a program's answers to an example.

    :raises JobError: when one is outside the tolerance.
    """
    rows = examples.rows(case, compiled.inputs)
    answers = _first(run(examples.padded(case, compiled.inputs, program.batch_size)), compiled, rows)
    worst = 0.0
    for name, found in answers.items():
        error, problem = golden.difference(found, case.outputs[name], tolerance)
        if problem:
            part = f" to {rows} of {program.batch_size} rows" if rows not in (None, program.batch_size) else ""
            raise JobError(
                f"{program.file} answers{part} otherwise than the model it was compiled from: output {name!r} {problem}"
            )
        worst = max(worst, error)
    return worst
