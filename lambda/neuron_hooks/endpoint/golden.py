"""Golden examples: requests to a model whose answers are known, and whether an answer is one of them. Pure.

An artifact may hold ``golden.json``, which its compile job wrote (``neuron_jobs.verification``)::

    {"tolerance": {"atol": 1e-05, "rtol": 0.0001},
     "examples": [{"inputs": {name: nested}, "outputs": {name: nested},
                   "samples": {name: {"shape": [1, 128, 384], "every": 13, "values": […]}}}]}

in the format of this project's serving code, ``{"inputs": {name: nested}}`` in and ``{"outputs": {name: nested}}`` out;
artifacts that other servers answer for hold none. An output too large for the file is there as a sample: every so many
of its values, in the order of the nested lists.

An answer is right when, for each output, ``|answer - expected| <= atol + rtol * max|expected|``. The largest value of
the output counts, not the one beside it: a value near zero is a sum of terms that cancel, and its error is theirs
(Neuron measures models so, too: "Module-Level Accuracy Test Guidelines" of vLLM Neuron,
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/vllm-neuron/docs/design/accuracy/module_test_guidelines.html).
Integers and booleans must be equal. NaN and infinities are wrong: no example expects them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FILE = "golden.json"
MOST_BYTES = 256 << 10

Number = float | int | bool


class GoldenError(Exception):
    """``golden.json`` cannot be read."""


@dataclass(frozen=True, slots=True)
class Expected:
    """An output: its shape, and every so many of its values, flat."""

    shape: tuple[int, ...]
    every: int
    values: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """``inputs``: what is sent. ``atol``, ``rtol``: how far an answer may be off (see above)."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Expected]
    atol: float
    rtol: float


def examples(content: bytes | None) -> tuple[Example, ...]:
    """The examples of a ``golden.json``; none where there is no such file (None).

    :raises GoldenError: when it cannot be read.
    """
    if content is None:
        return ()
    try:
        document: dict[str, Any] = json.loads(content)
        tolerance = document["tolerance"]
        return tuple(
            Example(one["inputs"], _outputs(one), float(tolerance["atol"]), float(tolerance["rtol"]))
            for one in document["examples"]
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GoldenError(f"{FILE} of the artifact cannot be read: {error!r}") from error


def body(example: Example) -> bytes:
    """The request, as ``application/json``."""
    return json.dumps({"inputs": example.inputs}).encode()


def problem(answer: bytes, example: Example) -> str:
    """What is wrong with the answer to an example, naming output, error and tolerance; empty when nothing is."""
    try:
        document = json.loads(answer)
    except ValueError:
        return f"the answer is not JSON: {answer[:200].decode(errors='replace')!r}"
    outputs = document.get("outputs") if isinstance(document, dict) else None
    if not isinstance(outputs, dict):
        return f'the answer is not {{"outputs": {{name: values}}}}: {answer[:200].decode(errors="replace")!r}'
    for name, expected in example.outputs.items():
        if name not in outputs:
            return f"the answer has no output {name!r}, only {', '.join(map(repr, sorted(outputs))) or 'nothing'}"
        if wrong := compare(outputs[name], expected, example.atol, example.rtol):
            return f"output {name!r} {wrong}"
    return ""


def compare(values: Any, expected: Expected, atol: float, rtol: float) -> str:
    """What is wrong with one output, given as nested lists; empty when nothing is."""
    try:
        shape, flat = _flatten(values)
    except ValueError as error:
        return str(error)
    if shape != expected.shape:
        return f"has shape {list(shape)}, expected is {list(expected.shape)}"
    given = flat[:: expected.every]
    wrong = [one for one in given if not isinstance(one, bool | int | float)]
    if wrong:
        return f"holds {wrong[0]!r:.40}, which is no number"
    allowed = atol + rtol * max((abs(one) for one in expected.values if not isinstance(one, bool)), default=0)
    worst, where = 0.0, -1
    for index, (one, other) in enumerate(zip(given, expected.values, strict=True)):
        if not math.isfinite(one):
            return f"is {one} at {_place(index * expected.every, shape)}, expected {other}"
        if isinstance(other, int):
            if one != other:
                return f"is {one} at {_place(index * expected.every, shape)}, expected is exactly {other}"
        elif abs(one - other) > worst:
            worst, where = abs(one - other), index
    if worst > allowed:
        return (
            f"is {given[where]:.6g} at {_place(where * expected.every, shape)}, expected {expected.values[where]:.6g}: "
            f"off by {worst:.3g}, more than {allowed:.3g} (atol {atol:g}, rtol {rtol:g} of the largest value)"
        )
    return ""


def _outputs(example: Mapping[str, Any]) -> dict[str, Expected]:
    found = {}
    for name, values in example["outputs"].items():
        shape, flat = _flatten(values)
        found[name] = Expected(shape, 1, tuple(flat))
    for name, sample in example.get("samples", {}).items():
        expected = Expected(tuple(sample["shape"]), int(sample["every"]), tuple(sample["values"]))
        if len(range(0, math.prod(expected.shape), expected.every)) != len(expected.values):
            raise ValueError(f"the sample of output {name!r} has not the values that its shape asks for")
        found[name] = expected
    if not found:
        raise ValueError("an example has no outputs")
    return found


def _flatten(values: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and values of nested lists, which are not ragged; a number alone has the shape ()."""
    shape: list[int] = []
    level: list[Any] = [values]
    while level and isinstance(level[0], list):
        size = len(level[0])
        if any(not isinstance(one, list) or len(one) != size for one in level):
            raise ValueError("is ragged: its rows differ in length")
        shape.append(size)
        level = [one for row in level for one in row]
    if any(isinstance(one, list) for one in level):
        raise ValueError("is ragged: its rows differ in length")
    return tuple(shape), level


def _place(flat: int, shape: Sequence[int]) -> str:
    """An index in flat order as ``[0, 3, 7]``."""
    index: list[int] = []
    for size in reversed(shape):
        flat, at = divmod(flat, size)
        index.insert(0, at)
    return str(index)
