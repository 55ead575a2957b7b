"""Engine ``optimum``: Hugging Face's exporter compiles a model folder for a NeuronCore, on a host that has none.

Source: Hugging Face's "Export a model to Neuron", optimum-neuron 0.4.1 (the version in AWS's image of SDK 2.26.0),
https://huggingface.co/docs/optimum-neuron/v0.4.1/guides/export_model: ``optimum-cli export neuron --model <folder>
--task … --batch_size … --sequence_length … <output>``; "You can also compile the model on a CPU-only instance. In this
case, specify the target instance type by passing ``--instance_type`` from ``{inf2, trn1, trn1n, trn2}``". Versions
before 0.4.0 have no such option, which is why older images only serve. The options are those of
``optimum-cli export neuron --help`` of that version.

There is one static shape, to which the server pads every input. A language model (task ``text-generation``) is built
for ``--tensor_parallel_size`` cores and has its weights beside it, sharded; everything else is one traced program for
one core (that the exporter's tensor parallelism for those knows no target is inferred from its source). Nothing is run,
as there is no device: ``--disable-validation``.
"""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from pathlib import Path

from ..errors import JobError
from ..request import CompileRequest
from . import Compiled, Program, hugging_face, shapes
from .serving_code import add_serving_code
from .tool import run

TARGETS = ("inf2", "trn1", "trn1n", "trn2")
GENERATION = "text-generation"
# Our task, and the exporter's where that has another name (its table of synonyms). The server's pipelines know these
# tasks and some of images and sound, whose shapes have other names (guide "Inference pipelines with AWS Neuron").
_TASKS = {
    "feature-extraction": "feature-extraction",
    "fill-mask": "fill-mask",
    "question-answering": "question-answering",
    "sentence-similarity": "feature-extraction",
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    GENERATION: GENERATION,
}
_AUTO_CAST = {"fp32": ("none", None), "bf16": ("matmul", "bf16"), "fp16": ("matmul", "fp16")}
# A language model is compiled in the type its config.json names.
_TORCH = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# What may be added; the rest says what the request says, reads the network or runs code of the folder.
OPTIONS = ("-O1", "-O2", "-O3", "--inline-weights-neff", "--output_hidden_states", "--output_attentions")


def flags(request: CompileRequest) -> list[str]:
    """The options that decide what is made, as words.

    :raises JobError: for what the exporter does not do.
    """
    if request.target not in TARGETS:
        raise JobError(f"optimum compiles for {', '.join(TARGETS)}, not for {request.target!r}")
    if request.task not in _TASKS:
        raise JobError(f"task {request.task!r} is not one that engine optimum compiles: {', '.join(_TASKS)}")
    if request.dtype not in _AUTO_CAST:
        raise JobError(f"dtype {request.dtype!r} is not one of {', '.join(_AUTO_CAST)}")
    if len(request.batch_sizes) != 1 or len(request.sequence_lengths) != 1:
        raise JobError("optimum compiles one static shape: give one of batch_sizes and one of sequence_lengths")
    if request.tensor_parallel > 1 and request.task != GENERATION:
        raise JobError(f"optimum spreads only a model for {GENERATION} over {request.tensor_parallel} cores")
    for argument in request.compiler_args:
        if argument not in OPTIONS:
            raise JobError(f"compiler_args may give engine optimum {', '.join(OPTIONS)}, not {argument}")
    ((batch, length),) = shapes(request)
    cast, kind = _AUTO_CAST[request.dtype]
    words = ["--task", _TASKS[request.task], "--instance_type", request.target]
    words += ["--batch_size", str(batch), "--sequence_length", str(length)]
    words += ["--tensor_parallel_size", str(request.tensor_parallel), "--auto_cast", cast]
    words += ["--auto_cast_type", kind] if kind else []
    level = [] if {"-O1", "-O2", "-O3"} & {*request.compiler_args} else ["-O2"]
    return [*words, *level, *request.compiler_args]


def command(request: CompileRequest, source: Path, work: str, output: Path) -> list[str]:
    """The command line, as words."""
    # No device to validate on, and no network: the exporter's cache is a repository of the Hub.
    alone = ["--disable-validation", "--disable_neuron_cache", "--compiler_workdir", work]
    return ["optimum-cli", "export", "neuron", "--model", str(source), *flags(request), *alone, str(output)]


def environment(work: str) -> dict[str, str]:
    """Ours, less what would change what is compiled, and with what keeps the exporter from the network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEURON_")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    # An NxD build works in this folder, its default is /tmp/nxd_model (inferred from the exporter's source).
    return {**kept, **offline, "TMPDIR": work, "BASE_COMPILE_WORK_DIR": f"{work}/nxd/"}


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Export the model's folder, and add what the serving container loads it with."""
    options = flags(request)
    _check(request, source)
    with tempfile.TemporaryDirectory(dir=output.parent) as work:
        words = command(request, source, work, output)
        run(words, environment(work))
    file = "model.pt" if request.task == GENERATION else "model.neuron"
    if not (output / file).is_file():
        raise JobError(f"optimum-cli ended well but wrote no {file}")
    add_serving_code(
        output, "optimum_inference.py", {"task": _TASKS[request.task], "tensor_parallel": request.tensor_parallel}
    )
    ((batch, length),) = shapes(request)
    return Compiled(
        compiler="optimum-neuron",
        version=importlib.metadata.version("optimum-neuron"),
        command=tuple(words),
        programs=(Program(file, batch, length),),
        flags=tuple(options),
    )


def _check(request: CompileRequest, source: Path) -> None:
    """Weights from safetensors only, and a language model that has the type asked for."""
    config = hugging_face.configuration(source, "optimum")
    stored = config.get("dtype", config.get("torch_dtype"))
    if request.task == GENERATION and stored != _TORCH[request.dtype]:
        raise JobError(
            f"optimum compiles a model for {GENERATION} in the type of its config.json, which is {stored!r}; dtype "
            f"{request.dtype!r} would need {_TORCH[request.dtype]!r}: ask for the one it has, or convert the model"
        )
