"""Engine ``torch-neuronx``: a PyTorch model is traced and compiled for a NeuronCore, on a host that has none.

Source: Neuron's "PyTorch NeuronX Tracing API for Inference",
https://awsdocs-neuron.readthedocs-hosted.com/en/v2.32.0/frameworks/torch/torch-neuronx/api-reference-guide/inference/api-torch-neuronx-trace.html:
``torch_neuronx.trace(model, inputs, compiler_args=["--target", …], cpu_backend=True)`` traces on a CPU for a named
target. What it makes runs on Neuron devices only, so here it is saved, not tried; the model itself is run once on the
CPU for the shapes of its outputs. PyTorch and the compiler are those of AWS's Neuron image; the tests of this project
stand in for them.

The model is one of

- a Hugging Face folder (``config.json`` and ``*.safetensors``), loaded by task with the image's ``transformers``;
- one TorchScript file (``*.pt``) beside ``inputs.json``: ``[{"name": …, "dtype": "int64", "shape": ["batch", 3,
  "sequence"]}]``.
"""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..checks import Checks, Tensors
from ..errors import JobError
from ..request import CompileRequest
from ..source import files_in, listing, the_only
from . import Compiled, Program, check_sequences, hugging_face, program_name, shapes
from .neuron_flags import flags

_CLASSES = {
    "feature-extraction": "AutoModel",
    "fill-mask": "AutoModelForMaskedLM",
    "question-answering": "AutoModelForQuestionAnswering",
    "sentence-similarity": "AutoModel",
    "text-classification": "AutoModelForSequenceClassification",
    "text-ranking": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
}
_TOKENIZER_FILES = (
    "config.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)

Description = dict[str, Any]


def trace_arguments(request: CompileRequest) -> dict[str, Any]:
    """The keyword arguments of ``torch_neuronx.trace``, but for its work folder."""
    return {"compiler_args": ["--target", request.target, *flags(request)], "cpu_backend": True}


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Trace one program per shape, and add what AWS's serving container needs to answer with them."""
    arguments = trace_arguments(request)
    # What an image or a host sets must not change what is compiled: trace() would add these flags to ours.
    os.environ.pop("NEURON_CC_FLAGS", None)
    import torch
    import torch_neuronx

    def trace(model: Any, example: tuple[Any, ...], work: str) -> Any:
        return torch_neuronx.trace(model, example, compiler_workdir=work, **arguments)

    model, inputs = _load(torch, request, source)
    programs, outputs = trace_each(torch, request, model, inputs, output, trace)
    add_serving_code(output)
    _add_tokenizer(source, output)
    return Compiled(
        compiler="torch-neuronx",
        version=torch_neuronx.__version__,
        command=("torch_neuronx.trace", *arguments["compiler_args"], "cpu_backend=True"),
        programs=programs,
        inputs=tuple(inputs),
        outputs=outputs,
        flags=tuple(arguments["compiler_args"]),
        checks=checks(torch, model, inputs, outputs),
    )


def trace_each(
    torch: Any,
    request: CompileRequest,
    model: Any,
    inputs: Sequence[Description],
    output: Path,
    trace: Callable[[Any, tuple[Any, ...], str], Any],
) -> tuple[tuple[Program, ...], tuple[Description, ...]]:
    """Run and trace the model once for every shape, and describe what it answers.

    :param trace: the model, an example of its inputs and a work folder in; what ``torch.jit.save`` takes out.
    """
    check_sequences(request, any("sequence" in description["shape"] for description in inputs))
    programs = []
    produced: list[list[tuple[int, ...]]] = []
    for batch, length in shapes(request):
        example = tuple(_example(torch, description, batch, length) for description in inputs)
        with torch.no_grad():
            produced.append([tuple(tensor.shape) for tensor in _tensors(torch, model(*example))])
        program = Program(program_name(batch, length, ".pt"), batch, length)
        with tempfile.TemporaryDirectory() as work:
            traced = trace(model, example, work)
        torch.jit.save(traced, str(output / program.file))
        programs.append(program)
        print(f"{program.file}: {(output / program.file).stat().st_size:,} bytes", flush=True)
    return tuple(programs), tuple(_outputs(produced))


def checks(torch: Any, model: Any, inputs: Sequence[Description], outputs: Sequence[Description]) -> Checks:
    """The model as it was, on this host's CPU: what was traced cannot even be loaded without a Neuron device."""

    def original(values: Tensors) -> Tensors:
        given = (torch.tensor(values[one["name"]], dtype=getattr(torch, one["dtype"])) for one in inputs)
        with torch.no_grad():
            answers = _tensors(torch, model(*given))
        arrays = [one.float().numpy() if one.is_floating_point() else one.numpy() for one in answers]
        return {one["name"]: array for one, array in zip(outputs, arrays, strict=True)}

    return Checks(original, why_not="a traced program loads on a Neuron device only, and this host has none")


def _load(torch: Any, request: CompileRequest, source: Path) -> tuple[Any, list[Description]]:
    if (source / "config.json").is_file():
        return _load_hugging_face(request, source)
    return load_torchscript(torch, source)


def load_torchscript(torch: Any, source: Path) -> tuple[Any, list[Description]]:
    """The model of a folder with one ``*.pt`` and ``inputs.json``, and what that says of its inputs."""
    file = the_only(source, ".pt")
    described = source / "inputs.json"
    try:
        inputs = json.loads(described.read_text(encoding="utf-8"))
        descriptions = [{"name": entry["name"], "dtype": entry["dtype"], "shape": entry["shape"]} for entry in inputs]
    except FileNotFoundError:
        found = listing(files_in(source), source)
        raise JobError(f"{file.name} needs inputs.json beside it, which says what it takes; found {found}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f'inputs.json must be [{{"name", "dtype", "shape"}}, …]: {error!r}') from error
    return torch.jit.load(str(file), map_location="cpu").eval(), descriptions


def _load_hugging_face(request: CompileRequest, source: Path) -> tuple[Any, list[Description]]:
    """Weights from safetensors only, no code from the folder, nothing from the network."""
    if request.task not in _CLASSES:
        raise JobError(f"task {request.task!r} of a Hugging Face model is not one of {', '.join(sorted(_CLASSES))}")
    hugging_face.configuration(source, request.engine)
    import transformers  # type: ignore[import-not-found]

    model = getattr(transformers, _CLASSES[request.task]).from_pretrained(
        str(source), torchscript=True, use_safetensors=True, local_files_only=True, trust_remote_code=False
    )
    names = ["input_ids", "attention_mask"]
    if getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    return model.eval(), [{"name": name, "dtype": "int64", "shape": ["batch", "sequence"]} for name in names]


def _example(torch: Any, description: Description, batch: int, length: int | None) -> Any:
    sizes = {"batch": batch, "sequence": length}
    shape = [sizes.get(dimension, dimension) for dimension in description["shape"]]
    return torch.ones(shape, dtype=getattr(torch, description["dtype"]))


def _tensors(torch: Any, answer: Any) -> list[Any]:
    """The tensors a traced model returns: one, or a flat tuple of them."""
    answers = answer if isinstance(answer, tuple | list) else (answer,)
    return [tensor for tensor in answers if isinstance(tensor, torch.Tensor)]


def _outputs(produced: Sequence[Sequence[tuple[int, ...]]]) -> list[Description]:
    """Outputs have no names in a trace. The first dimension is the batch; one that varies otherwise is the sequence."""
    described = []
    for index in range(len(produced[0])):
        observed = [shapes_of_run[index] for shapes_of_run in produced]
        rest = [sizes[0] if len(set(sizes)) == 1 else "sequence" for sizes in zip(*observed, strict=True)]
        described.append({"name": f"output_{index}", "dtype": "float32", "shape": ["batch", *rest[1:]]})
    return described


def add_serving_code(output: Path) -> None:
    """``code/inference.py`` is where the serving container looks for its functions."""
    code = output / "code"
    code.mkdir()
    (code / "inference.py").write_bytes(pkgutil.get_data("neuron_jobs", "neuronx_inference.py") or b"")


def _add_tokenizer(source: Path, output: Path) -> None:
    """What makes inputs of text."""
    present = [source / name for name in _TOKENIZER_FILES if (source / name).is_file()]
    if any(file.name.startswith("tokenizer") or file.name.startswith("vocab") for file in present):
        (output / "tokenizer").mkdir()
        for file in present:
            shutil.copyfile(file, output / "tokenizer" / file.name)
