"""Engine ``nxd-inference``: NxD Inference compiles a language model, sharded over NeuronCores.

Source: Neuron's NxD Inference documentation, SDK 2.31.1: the console script ``inference_demo --model-type … --task-type
causal-lm run …`` with ``--compile-only`` (tutorial "Scaling LLM Inference with Data Parallelism on Trn2",
https://awsdocs-neuron.readthedocs-hosted.com/en/v2.31.1/libraries/nxd-inference/tutorials/trn2-llama3.3-70b-dp-tutorial.html),
``--save-sharded-checkpoint`` ("NxD Inference Weights Sharding Guide"); the options are those of ``inference_demo run
--help``, which has all of these since NxD Inference 0.3 (SDK 2.23.0).

Inferred: that it compiles on a host without Neuron devices. Neuron documents it on instances with devices. Its source
takes the chip from NEURON_PLATFORM_TARGET_OVERRIDE before it looks at the host, and Hugging Face documents a CPU-only
export for language models, which is built on the same model builder of NxD with the same variable (see
``optimum_export``). The sharing of ``trn1`` by all chips of NeuronCore-v2 is Hugging Face's too.

One batch size; the sequence lengths (prompt and answer together, in tokens) are buckets, and the largest is the limit.
What it leaves is ``model.pt``, ``neuron_config.json`` and the weights of every rank, which ``load`` takes from there.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import JobError
from ..request import CompileRequest
from . import Compiled, Program, hugging_face
from .serving_code import add_serving_code
from .tool import run

PLATFORM = {"inf2": "trn1", "trn1": "trn1", "trn1n": "trn1", "trn2": "trn2"}
_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# config.json's model_type, and since which NxD Inference inference_demo knows it. What serves it: nxd_inference.py.
MODEL_TYPES = {
    "llama": (0, 3),
    "mixtral": (0, 3),
    "dbrx": (0, 3),
    "qwen2": (0, 5),
    "qwen3": (0, 5),
    "qwen3_moe": (0, 6),
}
# What may be added, a value joined by "=". None needs a second model or a file.
OPTIONS = (
    "--on-device-sampling",
    "--fused-qkv",
    "--sequence-parallel-enabled",
    "--flash-decoding-enabled",
    "--qkv-kernel-enabled",
    "--attn-kernel-enabled",
    "--mlp-kernel-enabled",
    "--max-context-length=",
    "--cc-pipeline-tiling-factor=",
)
_COPIED = (
    "config.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)


def flags(request: CompileRequest) -> list[str]:
    """The options that decide what is made, as words.

    :raises JobError: for what NxD Inference does not do.
    """
    if request.target not in PLATFORM:
        raise JobError(f"nxd-inference compiles for {', '.join(PLATFORM)}, not for {request.target!r}")
    if request.task != "text-generation":
        raise JobError(f"nxd-inference compiles models for text-generation, not for {request.task!r}")
    if request.dtype not in _TYPES:
        raise JobError(f"dtype {request.dtype!r} is not one of {', '.join(_TYPES)}")
    if len(request.batch_sizes) != 1 or not request.sequence_lengths:
        raise JobError("nxd-inference takes one of batch_sizes, and sequence_lengths for its buckets")
    for argument in request.compiler_args:
        if not any(argument.startswith(each) if each.endswith("=") else argument == each for each in OPTIONS):
            raise JobError(f"compiler_args may give engine nxd-inference {', '.join(OPTIONS)}, not {argument}")
    longest = max(request.sequence_lengths)
    words = ["--torch-dtype", _TYPES[request.dtype], "--tp-degree", str(request.tensor_parallel)]
    words += ["--batch-size", str(request.batch_sizes[0]), "--seq-len", str(longest)]
    if not any(argument.startswith("--max-context-length=") for argument in request.compiler_args):
        words += ["--max-context-length", str(longest)]
    if len(request.sequence_lengths) > 1:
        buckets = [str(length) for length in request.sequence_lengths]
        words += ["--enable-bucketing", "--context-encoding-buckets", *buckets, "--token-generation-buckets", *buckets]
    # The default is the platform's: two physical cores of trn2 are one logical core.
    words += ["--logical-nc-config", "2" if request.target == "trn2" else "1"]
    return [*words, *request.compiler_args]


def command(request: CompileRequest, model_type: str, source: Path, output: Path) -> list[str]:
    """The command line, as words. A prompt is required and, as nothing is run, not used."""
    return [
        "inference_demo",
        "--model-type",
        model_type,
        "--task-type",
        "causal-lm",
        "run",
        "--model-path",
        str(source),
        "--compiled-model-path",
        str(output),
        *flags(request),
        "--save-sharded-checkpoint",
        "--compile-only",
        "--prompt",
        "unused",
    ]


def environment(request: CompileRequest, work: str) -> dict[str, str]:
    """Ours, less what would change what is compiled, with the chip and what keeps it from the network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEURON_")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    chip = {"NEURON_PLATFORM_TARGET_OVERRIDE": PLATFORM[request.target]}
    # Its default work folder is /tmp/nxd_model (inferred from its source).
    return {**kept, **offline, **chip, "TMPDIR": work, "BASE_COMPILE_WORK_DIR": f"{work}/nxd/"}


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Compile and shard, and add tokenizer and code for AWS's serving container."""
    options = flags(request)
    version = importlib.metadata.version("neuronx-distributed-inference")
    model_type = _model_type(source, version)
    words = command(request, model_type, source, output)
    with tempfile.TemporaryDirectory(dir=output.parent) as work:
        run(words, environment(request, work))
    shards = [f"weights/tp{rank}_sharded_checkpoint.safetensors" for rank in range(request.tensor_parallel)]
    for file in ("model.pt", "neuron_config.json", *shards):
        if not (output / file).is_file():
            raise JobError(f"inference_demo ended well but wrote no {file}")
    for name in _COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, output / name)
    settings = {
        "model_type": model_type,
        "tensor_parallel": request.tensor_parallel,
        "batch_size": request.batch_sizes[0],
        "sequence_length": max(request.sequence_lengths),
    }
    add_serving_code(output, "nxd_inference.py", settings)
    return Compiled(
        compiler="neuronx-distributed-inference",
        version=version,
        command=tuple(words),
        programs=(Program("model.pt", request.batch_sizes[0], max(request.sequence_lengths)),),
        flags=tuple(options),
    )


def _model_type(source: Path, version: str) -> str:
    """What ``config.json`` calls the model, if this version of NxD Inference knows it."""
    config = hugging_face.configuration(source, "nxd-inference")
    release = tuple(int(part) for part in version.split(".")[:2])
    known = [name for name, since in MODEL_TYPES.items() if since <= release]
    model_type = str(config.get("model_type"))
    if model_type not in known:
        raise JobError(f"NxD Inference {version} has no causal-lm for model_type {model_type!r}: {', '.join(known)}")
    return model_type
