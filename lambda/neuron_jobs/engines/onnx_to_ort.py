"""Engine ``onnxruntime``, target ``cpu``: an ONNX model becomes one optimized ORT-format program per shape.

Free dimensions are fixed with ONNX Runtime's free-dimension overrides and the graph is saved in the ORT format (ONNX
Runtime documentation: "ORT model format"). The level is *extended*: what *all* adds depends on the very CPU it ran on,
and an artifact is used on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from ..checks import Checks, Run, Tensors
from ..errors import JobError
from ..request import CompileRequest
from ..source import the_only
from . import Compiled, Program, check_sequences, program_name, shapes

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Compile the one ``.onnx`` file of the source, and run each program once for the shapes it answers with."""
    _refuse_what_has_no_meaning_here(request)
    model = the_only(source, ".onnx")
    original = _open(model)
    inputs = [_description(node) for node in original.get_inputs()]
    kinds = _free_dimensions(inputs)
    check_sequences(request, "sequence" in kinds.values())

    programs = []
    produced: list[list[tuple[int, ...]]] = []
    for batch, length in shapes(request):
        sizes = {"batch": batch, "sequence": length}
        program = Program(program_name(batch, length, ".ort"), batch, length)
        options = _options()
        for name, kind in kinds.items():
            options.add_free_dimension_override_by_name(name, sizes[kind])
        options.optimized_model_filepath = str(output / program.file)
        options.add_session_config_entry("session.save_model_format", "ORT")
        _open(model, options)
        produced.append(_try(output / program.file, batch))
        programs.append(program)
        print(f"{program.file}: {(output / program.file).stat().st_size:,} bytes, runs", flush=True)

    outputs = [_description(node) for node in original.get_outputs()]
    for index, description in enumerate(outputs):
        observed = [shapes_of_run[index] for shapes_of_run in produced]
        description["shape"] = _output_shape(description, observed, programs, kinds)
    for description in inputs:
        description["shape"] = [kinds.get(dim, dim) for dim in description["shape"]]
    return Compiled(
        compiler="onnxruntime",
        version=ort.__version__,
        command=("onnxruntime", model.name, "graph_optimization_level=extended", "session.save_model_format=ORT"),
        programs=tuple(programs),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        flags=("graph_optimization_level=extended",),
        checks=Checks(_run(original), lambda program: _run(_open(program))),
    )


def _run(session: ort.InferenceSession) -> Run:
    """A session as a function of its inputs by name."""
    names = [node.name for node in session.get_outputs()]

    def run(inputs: Tensors) -> Tensors:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


def _refuse_what_has_no_meaning_here(request: CompileRequest) -> None:
    if request.dtype != "fp32":
        raise JobError(f"engine onnxruntime keeps the model's own types: dtype must be fp32, not {request.dtype}")
    if request.compiler_args:
        raise JobError(f"engine onnxruntime takes no compiler_args; given {' '.join(request.compiler_args)}")
    if request.tensor_parallel != 1:
        raise JobError(f"engine onnxruntime runs on one host: tensor_parallel must be 1, not {request.tensor_parallel}")


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return options


def _open(model: Path, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(model), options or _options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        raise JobError(f"{model.name} is no model that ONNX Runtime {ort.__version__} reads: {error}") from error


def _description(node: Any) -> dict[str, Any]:
    if node.type not in DTYPES:
        raise JobError(f"{node.name!r} is a {node.type}; tensors of numbers and booleans can be served")
    return {"name": node.name, "dtype": DTYPES[node.type], "shape": list(node.shape)}


def _free_dimensions(inputs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What each named free dimension stands for.

    The first free dimension of the model, and what leads another input, is the batch; any other is a sequence length.
    """
    kinds: dict[str, str] = {}
    for description in inputs:
        for axis, dimension in enumerate(description["shape"]):
            if dimension is None:
                raise JobError(
                    f"input {description['name']!r} has a free dimension without a name (axis {axis}): "
                    "export the model with named dynamic axes"
                )
            if isinstance(dimension, str):
                kinds.setdefault(dimension, "batch" if axis == 0 or not kinds else "sequence")
    return kinds


def _try(program: Path, batch: int) -> list[tuple[int, ...]]:
    """Load a program, run it on zeros, and give the shapes it answers with."""
    session = _open(program)
    feed = {}
    for node in session.get_inputs():
        if any(not isinstance(dimension, int) for dimension in node.shape):
            raise JobError(f"input {node.name!r} of {program.name} still has a free dimension: {node.shape}")
        feed[node.name] = np.zeros(node.shape, dtype=DTYPES[node.type])
        if batch > 1 and batch not in node.shape and node.shape:
            raise JobError(
                f"input {node.name!r} has the fixed shape {node.shape}: it cannot take batches of {batch}; "
                "compile batch_sizes the model was exported for"
            )
    return [np.shape(answer) for answer in session.run(None, feed)]


def _output_shape(
    description: dict[str, Any],
    observed: Sequence[tuple[int, ...]],
    programs: Sequence[Program],
    kinds: Mapping[str, str],
) -> list[int | str]:
    """Each dimension of an output as a number, ``"batch"`` or ``"sequence"``.

    What the model calls as it calls a dimension of its inputs is that one; of others only the sizes tell, that the
    programs answered with.
    """
    shape: list[int | str] = []
    named = {kinds[name] for name in description["shape"] if name in kinds}
    for axis in range(len(observed[0])):
        sizes = [answer[axis] for answer in observed]
        declared = description["shape"][axis] if axis < len(description["shape"]) else None
        if isinstance(declared, str) and declared in kinds:
            shape.append(kinds[declared])
        elif "batch" in named and len(set(sizes)) == 1:
            shape.append(sizes[0])
        elif not isinstance(declared, int) and sizes == [program.batch_size for program in programs]:
            shape.append("batch" if "batch" not in shape else sizes[0])
        elif len(set(sizes)) == 1 and isinstance(declared, int):
            shape.append(declared)
        elif sizes == [program.sequence_length for program in programs]:
            shape.append("sequence")
        elif len(set(sizes)) == 1:
            shape.append(sizes[0])
        else:
            raise JobError(f"axis {axis} of output {description['name']!r} follows neither batch nor sequence: {sizes}")
    if "batch" not in shape and any(program.batch_size > 1 for program in programs):
        raise JobError(f"output {description['name']!r} has no batch dimension: compile batch_sizes [1] only")
    return shape
