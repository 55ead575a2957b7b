"""``golden.json`` of an artifact, as a job writes it, and how far an answer may be off. The form is in
``neuron_hooks.endpoint.golden``, which reads it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

FILE = "golden.json"
_MOST_EXAMPLES = 4
_MOST_BYTES = 256 << 10
_MOST_VALUES = 4096  # of one output; a sample of more


@dataclass(frozen=True)
class Tolerance:
    """An answer is right when ``|answer - expected| <= atol + rtol * max|expected|``, for each output as a whole.

    The measure is that of Neuron's "Module-Level Accuracy Test Guidelines" (vLLM Neuron), which reckons with about 0.01
    for a whole model.
    """

    atol: float
    rtol: float

    def to_json(self) -> dict[str, float]:
        return {"atol": self.atol, "rtol": self.rtol}


# About ten times a type's unit of rounding (2^-9 for bf16, 2^-12 for fp16, 2^-4 for fp8 with three bits), for what adds
# up over layers; for fp32, whose unit is 2^-24, what other orders of summation make of long sums. ``torch.testing``'s
# own figures for single operations are 1.6e-2, 1e-3 and 1.3e-6. A dtype is what matrices are multiplied in.
_TOLERANCES = {
    "fp32": Tolerance(1e-5, 1e-4),
    "fp16": Tolerance(1e-5, 5e-3),
    "bf16": Tolerance(1e-5, 2e-2),
    "fp8": Tolerance(1e-5, 1e-1),
}


def tolerance_of(dtype: str) -> Tolerance:
    """The tolerance of a model compiled for a dtype."""
    return _TOLERANCES[dtype]


@dataclass
class Case:
    """An example: arrays of NumPy by name."""

    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)

    def key(self) -> str:
        """The same for the same inputs."""
        digest = hashlib.sha256()
        for name, value in sorted(self.inputs.items()):
            digest.update(f"{name} {value.dtype} {value.shape} ".encode() + value.tobytes())
        return digest.hexdigest()

    @property
    def finite(self) -> bool:
        """Whether JSON can carry it."""
        import numpy as np

        return all(np.isfinite(value).all() for value in [*self.inputs.values(), *self.outputs.values()])


def difference(found: Any, expected: Any, tolerance: Tolerance) -> tuple[float, str]:
    """The largest error, as a part of the largest value, and what is wrong with it (empty: nothing is).

    NaN and infinities are wrong but where the expected has the same.
    """
    import numpy as np

    if found.shape != expected.shape:
        return math.inf, f"has shape {list(found.shape)}, expected is {list(expected.shape)}"
    if not expected.size:
        return 0.0, ""
    if expected.dtype.kind in "iub":
        return _unequal(found, expected, found != expected, "exactly ")
    if (odd := ~np.isfinite(found) | ~np.isfinite(expected)).any():
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        error, problem = _unequal(found, expected, odd & ~same, "")
        if problem:
            return error, problem
        found, expected = np.where(odd, 0, found), np.where(odd, 0, expected)
    errors = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    largest = float(np.abs(expected).max())
    worst, allowed = float(errors.max()), tolerance.atol + tolerance.rtol * largest
    at = np.unravel_index(int(errors.argmax()), errors.shape)
    if worst <= allowed:
        return worst / largest if largest else worst, ""
    return worst / largest if largest else worst, (
        f"is {found[at]:.6g} at {[int(one) for one in at]}, expected {expected[at]:.6g}: off by {worst:.3g}, more than "
        f"{allowed:.3g} (atol {tolerance.atol:g}, rtol {tolerance.rtol:g} of the largest value)"
    )


def _unequal(found: Any, expected: Any, wrong: Any, how: str) -> tuple[float, str]:
    import numpy as np

    if not wrong.any():
        return 0.0, ""
    at = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return math.inf, f"is {found[at]} at {[int(one) for one in at]}, expected is {how}{expected[at]}"


def document(cases: Sequence[Case], tolerance: Tolerance) -> tuple[bytes, list[str]]:
    """``golden.json``, empty when no example fits in, and what was left out, with the reason.

    The smallest first, and no more than a serving hook or an instance's boot reads in one go.
    """
    kept, left, size = list[str](), list[str](), 0
    for case in sorted(cases, key=lambda case: sum(value.size for value in case.inputs.values())):
        if len(kept) == _MOST_EXAMPLES:
            break
        if not case.finite:
            left.append("golden.json: an answer of the model has NaN or an infinity, which JSON does not know")
            continue
        text = json.dumps(_example(case), separators=(",", ":"))
        if size + len(text) > _MOST_BYTES - 1024:
            if not kept:
                left.append(f"golden.json: the smallest example has {len(text):,} bytes; {_MOST_BYTES:,} are taken")
            break
        kept.append(text)
        size += len(text)
    if not kept:
        return b"", left
    head, body = json.dumps(tolerance.to_json()), ",\n".join(kept)
    return f'{{"tolerance": {head}, "examples": [\n{body}\n]}}\n'.encode(), left


def _example(case: Case) -> dict[str, Any]:
    example: dict[str, Any] = {"inputs": {name: _plain(value) for name, value in case.inputs.items()}}
    small = {name: value for name, value in case.outputs.items() if value.size <= _MOST_VALUES}
    example["outputs"] = {name: _plain(value) for name, value in small.items()}
    samples = {name: value for name, value in case.outputs.items() if name not in small}
    if samples:
        example["samples"] = {name: _sample(value) for name, value in samples.items()}
    return example


def _plain(value: Any) -> Any:
    """Nested lists. The shortest text that means the same number: of 0.1 as fp32 not its 17 digits as fp64."""
    import numpy as np

    if value.dtype.kind != "f" or value.dtype.itemsize == 8:
        return value.tolist()
    return np.array([float(str(one)) for one in value.reshape(-1)]).reshape(value.shape).tolist()


def _sample(value: Any) -> dict[str, Any]:
    """Every so many values. No dimension has a divisor in common with the step, or columns would be left out."""
    every = math.ceil(value.size / _MOST_VALUES)
    while any(math.gcd(every, size) > 1 for size in value.shape):
        every += 1
    return {"shape": list(value.shape), "every": every, "values": _plain(value.reshape(-1)[::every])}
