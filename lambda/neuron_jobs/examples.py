"""What a model is asked to see whether its compiled form answers alike.

From ``golden.json`` of the source, if it has one::

    [{"inputs": {name: nested}, "outputs": {name: nested}}, …]

or ``{"tolerance": {"atol": 1e-05, "rtol": 0.0001}, "examples": [the same]}``; ``outputs`` are optional. Without
examples some are made, the same ones every time: fractions between -1 and 1; ones for inputs called a mask and for
single numbers; other integers below 256 where the model takes them, else 0 and 1, which every embedding has. A model is
not made for those: real ones say more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .checks import Run
from .engines import Program
from .errors import JobError
from .golden import FILE, Case, Tolerance
from .source import files_in

Description = Mapping[str, Any]
_MOST_BYTES = 64 << 20
_MANY, _FEW = 256, 2


def given(source: Path, usual: Tolerance, descriptions: Sequence[Description]) -> tuple[list[Case], Tolerance]:
    """The examples of the source, and how far an answer may be off.

    :raises JobError: when the file cannot be read, or is not of this model.
    """
    files = [file for file in files_in(source) if file.name == FILE]
    if not files:
        return [], usual
    if len(files) > 1 or files[0].stat().st_size > _MOST_BYTES:
        raise JobError(f"the source may hold one {FILE}, of at most {_MOST_BYTES:,} bytes")
    try:
        read = json.loads(files[0].read_text(encoding="utf-8"))
        if isinstance(read, dict):
            usual = Tolerance(float(read["tolerance"]["atol"]), float(read["tolerance"]["rtol"]))
            read = read["examples"]
        cases = [Case(_arrays(one["inputs"]), _arrays(one.get("outputs", {}))) for one in read]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JobError(f'{FILE} of the source must be [{{"inputs": {{name: values}}}}, …]: {error!r}') from error
    for case in cases:
        _check(case, {one["name"]: one for one in descriptions})
    return cases, usual


def _arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    return {name: np.asarray(value) for name, value in values.items()}


def _check(case: Case, descriptions: Mapping[str, Description]) -> None:
    if set(case.inputs) != set(descriptions):
        names = f"{sorted(case.inputs)}; the model takes {sorted(descriptions)}"
        raise JobError(f"{FILE} of the source has an example with the inputs {names}")
    for name, one in descriptions.items():
        value = case.inputs[name]
        if value.dtype.kind not in "iufb" or not _is_shaped(value.shape, one["shape"]):
            raise JobError(
                f"{FILE} of the source: input {name!r} takes {one['dtype']} of shape {list(one['shape'])}; "
                f"given {value.dtype} of shape {list(value.shape)}"
            )
        case.inputs[name] = value.astype(one["dtype"])


def _is_shaped(shape: Sequence[int], described: Sequence[int | str]) -> bool:
    """Whether sizes are those that are fixed; which batches and sequences there are depends on the program."""
    return len(shape) == len(described) and all(
        isinstance(mark, str) or mark == size for size, mark in zip(shape, described, strict=True)
    )


def rows(case: Case, descriptions: Sequence[Description]) -> int | None:
    """How many rows an example has; None where the model has no batch dimension."""
    for one in descriptions:
        if "batch" in one["shape"]:
            size: int = case.inputs[one["name"]].shape[one["shape"].index("batch")]
            return size
    return None


def fits(case: Case, descriptions: Sequence[Description], program: Program) -> bool:
    """Whether a program takes an example, padded if need be."""
    asked = rows(case, descriptions)
    sizes = {"batch": asked, "sequence": program.sequence_length}
    shapes = [(one, case.inputs[one["name"]].shape) for one in descriptions]
    return (asked is None or 0 < asked <= program.batch_size) and all(
        list(shape) == [sizes.get(mark, mark) for mark in one["shape"]] for one, shape in shapes
    )


def padded(case: Case, descriptions: Sequence[Description], batch: int) -> dict[str, Any]:
    """The inputs with as many rows as a program takes: the last one again, which is what the server does."""
    asked = rows(case, descriptions)
    if asked is None or asked == batch:
        return case.inputs
    index = [min(row, asked - 1) for row in range(batch)]
    return {
        one["name"]: case.inputs[one["name"]].take(index, axis=one["shape"].index("batch"))
        if "batch" in one["shape"]
        else case.inputs[one["name"]]
        for one in descriptions
    }


def limits(descriptions: Sequence[Description], original: Run, program: Program) -> dict[str, int]:
    """What made integers stay below, by input: PyTorch and ONNX Runtime refuse an index that an embedding has not."""
    found: dict[str, int] = {}
    sizes = {"batch": 1, "sequence": program.sequence_length}
    for one in descriptions:
        if _is_index(one):
            found[one["name"]] = _MANY
            try:
                original(_inputs(descriptions, sizes, {one["name"]: _MANY}))
            except Exception:  # each framework has its own
                found[one["name"]] = _FEW
    return found


def made(descriptions: Sequence[Description], below: Mapping[str, int], program: Program) -> Iterator[Case]:
    """One row, which is padded where a program takes more, and a full batch.

    :param below: see ``limits``.
    """
    batched = any("batch" in one["shape"] for one in descriptions)
    for count in sorted({1, program.batch_size}) if batched else [program.batch_size]:
        yield Case(_inputs(descriptions, {"batch": count, "sequence": program.sequence_length}, below))


def _inputs(
    descriptions: Sequence[Description], sizes: Mapping[str, int | None], below: Mapping[str, int]
) -> dict[str, Any]:
    return {
        one["name"]: _values(one, [sizes.get(mark, mark) for mark in one["shape"]], below.get(one["name"], _FEW))
        for one in descriptions
    }


def _is_index(description: Description) -> bool:
    return description["dtype"].lstrip("u").startswith("int") and "mask" not in description["name"]


def _values(description: Description, shape: Sequence[Any], below: int) -> Any:
    import numpy as np

    dtype = np.dtype(description["dtype"])
    random = np.random.default_rng(len(description["name"]))
    if dtype.kind == "f":
        # One decimal: they are written as text.
        return (random.integers(-10, 11, shape) / 10).astype(dtype)
    if "mask" in description["name"] or not shape:
        return np.ones(shape, dtype)
    most = 2 if dtype.kind == "b" else min(below, 2 ** (8 * dtype.itemsize - 1))  # what the smallest signed one holds
    return random.integers(0, most, shape).astype(dtype)
