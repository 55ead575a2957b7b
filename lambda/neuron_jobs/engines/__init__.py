"""The compilers, one module each. A module is never called what it imports, so that neither hides the other."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checks import Checks
from ..errors import JobError
from ..request import CompileRequest

_MODULES = {
    "onnxruntime": "onnx_to_ort",
    "torch-neuronx": "torch_trace",
    "torch-neuron": "torch_trace_inf1",
    "neuronx-cc": "hlo_to_neff",
    "optimum": "optimum_export",
    "nxd-inference": "nxd_export",
    "vllm": "vllm_cache",
    "tensorflow-neuronx": "tf_trace",
    "mirror": ".mirror",
}


@dataclass(frozen=True)
class Program:
    """One compiled file for one shape."""

    file: str
    batch_size: int
    sequence_length: int | None = None

    def to_json(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"file": self.file, "batch_size": self.batch_size}
        return entry if self.sequence_length is None else {**entry, "sequence_length": self.sequence_length}


@dataclass(frozen=True)
class Compiled:
    """What an engine made.

    ``inputs`` and ``outputs``: name, NumPy dtype and shape; a dimension is a number, or ``"batch"`` or ``"sequence"``
    where the programs differ. They are empty where the compiled files say it themselves (NEFF), and where the server is
    not ours and takes what its own documentation says.

    ``checks``: how to ask it here; None for what a server of its own loads.

    ``flags``: what the compiler was told beside its files, as words; the part of ``command`` that makes a difference.

    ``source``: where the files came from, for an engine that fetches them itself.
    """

    compiler: str
    version: str
    command: tuple[str, ...]
    programs: tuple[Program, ...]
    inputs: tuple[dict[str, Any], ...] = field(default=())
    outputs: tuple[dict[str, Any], ...] = field(default=())
    flags: tuple[str, ...] = field(default=())
    source: dict[str, Any] = field(default_factory=dict)
    checks: Checks | None = None


Engine = Callable[[CompileRequest, Path, Path], Compiled]


def find(name: str) -> Engine:
    """The ``compile`` function of an engine: request, folder of the source, folder for the artifact.

    :raises JobError: for an engine these jobs do not have.
    """
    if name not in _MODULES:
        raise JobError(f"engine {name!r} is not one of {', '.join(_MODULES)}")
    engine: Engine = importlib.import_module(f".{_MODULES[name]}", __name__).compile
    return engine


def shapes(request: CompileRequest) -> list[tuple[int, int | None]]:
    """Every batch size with every sequence length (``None`` when the model has none)."""
    lengths: tuple[int | None, ...] = request.sequence_lengths or (None,)
    return [(batch, length) for batch in request.batch_sizes for length in lengths]


def check_sequences(request: CompileRequest, taken: bool) -> None:
    """:raises JobError: when the model takes sequences and no length is given, or the reverse."""
    if taken and not request.sequence_lengths:
        raise JobError("an input has a free dimension beside its batch: give sequence_lengths")
    if request.sequence_lengths and not taken:
        raise JobError("no input has a free dimension beside its batch: leave sequence_lengths out")


def program_name(batch_size: int, sequence_length: int | None, suffix: str) -> str:
    """``batch-4.ort``, ``batch-4-sequence-128.pt``."""
    sequence = "" if sequence_length is None else f"-sequence-{sequence_length}"
    return f"batch-{batch_size}{sequence}{suffix}"
