"""What each engine compiles: precisions, shapes, cores, tasks and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from neuron_cdk.catalog import instances, software

from ..deployment import Compile, Deployment, Model
from ..findings import Problem
from ..source import Pointer
from ..uses import compiles, services
from .common import repeated

# What the compile job says itself: the target is part of the artifact's key, the files are where it looks for them.
_OURS = ("--target", "--framework", "--output", "-o", "--logfile", "--log-file")
_OURS_ON_INF1 = ("--io-config", "--neuroncore-pipeline-cores")  # neuron-cc's; a model has one core
_GENERATION = ("text-generation",)
# Each shape is an artifact of its own, and the request for the whole names them all, with all that each is compiled
# with: 0.8 KB a shape, in the 256 KiB that a step of Step Functions may hand on (its quotas).
_MOST_SHAPES = 200


@dataclass(frozen=True, slots=True)
class _Limits:
    """What an engine's own documentation allows; the compile jobs (``neuron_jobs.engines``) refuse the rest too.

    :param spreads: tasks whose models it spreads over several cores; None for all.
    :param tasks: those it compiles; None where the model says what it is.
    :param arguments: those that may be added, with ``=`` at the end where a value follows; None for all that the
        compile job does not give itself.
    """

    dtypes: tuple[str, ...]
    spreads: tuple[str, ...] | None = ()
    tasks: tuple[str, ...] | None = None
    arguments: tuple[str, ...] | None = None
    reserved: tuple[str, ...] = _OURS
    most: Mapping[str, int] = field(default_factory=dict)
    """How many batch_sizes and sequence_lengths it takes."""
    least: Mapping[str, int] = field(default_factory=dict)
    shapes: str = ""
    """Why there are no more, and no fewer: the end of a sentence."""


_ONE = {"batch_sizes": 1, "sequence_lengths": 1}
_ANY = ("fp32", "fp16", "bf16", "fp8")
LIMITS = {
    "onnxruntime": _Limits(("fp32",), arguments=()),
    # fp8_e4m3 is a type of every NeuronCore from the second version on ("Data Types", Neuron documentation 2.32.0).
    "torch-neuronx": _Limits(_ANY),
    "torch-neuron": _Limits(("fp32", "fp16", "bf16"), reserved=(*_OURS, *_OURS_ON_INF1)),
    "neuronx-cc": _Limits(_ANY, most=_ONE, shapes="the graph has its shapes inside"),
    "optimum": _Limits(
        ("fp32", "fp16", "bf16"),
        spreads=_GENERATION,
        tasks=(
            "feature-extraction",
            "fill-mask",
            "question-answering",
            "sentence-similarity",
            "text-classification",
            "token-classification",
            *_GENERATION,
        ),
        arguments=("-O1", "-O2", "-O3", "--inline-weights-neff", "--output_hidden_states", "--output_attentions"),
        most=_ONE,
        least=_ONE,
        shapes="the program has one static shape, to which its server pads every input",
    ),
    "nxd-inference": _Limits(
        ("fp32", "fp16", "bf16"),
        spreads=None,
        tasks=_GENERATION,
        arguments=(
            "--on-device-sampling",
            "--fused-qkv",
            "--sequence-parallel-enabled",
            "--flash-decoding-enabled",
            "--qkv-kernel-enabled",
            "--attn-kernel-enabled",
            "--mlp-kernel-enabled",
            "--max-context-length=",
            "--cc-pipeline-tiling-factor=",
        ),
        most={"batch_sizes": 1},
        least=_ONE,
        shapes="the program has one batch size, and the lengths as its buckets",
    ),
    "vllm": _Limits(
        ("fp32", "fp16", "bf16"),
        spreads=None,
        tasks=_GENERATION,
        # No second model: speculative decoding cannot be compiled on a host without devices.
        arguments=("--block-size=", "--kv-cache-dtype=", "--no-enable-prefix-caching", "--additional-config="),
        least={"sequence_lengths": 1},
        shapes="the lengths are its prefill buckets, and the longest is the longest request",
    ),
    "tensorflow-neuronx": _Limits(
        _ANY,
        # Of the compiler's command line in SDK 2.17.0; the tracing API's own name files or leave shapes open.
        arguments=(
            "--model-type=",
            "--auto-cast=",
            "--auto-cast-type=",
            "--optlevel=",
            "--enable-saturate-infinity",
            "--enable-fast-context-switch",
            "--enable-fast-loading-neuron-binaries",
        ),
        most=_ONE,
        shapes="the program has one static shape, and TensorFlow Serving loads one program of a model",
    ),
}
"""What each engine takes, by its name."""


def compile_options_fit(deployment: Deployment) -> Iterator[Problem]:
    """What the engine takes; nothing of it where the engine itself is wrong, which is told once."""
    for name, model in deployment.models.items():
        wanted, at = model.compile, ("models", name, "compile")
        limits = LIMITS[wanted.engine]
        if not compiles(wanted.engine, wanted.target, services(deployment, name)):
            continue
        if not _knows(wanted.engine, model.task):
            yield _other_task(deployment, name)
            continue
        yield from _shapes(at, wanted, limits)
        yield from _cores((*at, "tensor_parallel"), model, limits)
        yield from _precision((*at, "dtype"), wanted, limits)
        yield from _arguments((*at, "compiler_args"), wanted, limits)


def _shapes(at: Pointer, wanted: Compile, limits: _Limits) -> Iterator[Problem]:
    given = {"batch_sizes": wanted.batch_sizes, "sequence_lengths": wanted.sequence_lengths}
    for name, values in given.items():
        yield from repeated((*at, name), values)
        if not limits.least.get(name, 0) <= len(values) <= limits.most.get(name, len(values)):
            one = limits.most.get(name) == 1
            allowed = "one number, such as [128]" if one else "numbers, such as [128, 512]"
            if values:
                message = f"{wanted.engine} takes one of {name} a model, and these are {len(values)}: {limits.shapes}"
                fix = "keep one, and add a model of the same source for each other"
                yield Problem("NCDK-COMPILE-010", (*at, name), message, allowed, fix)
            else:  # a field that is not in the file is a fault of what should hold it
                message = f"{wanted.engine} needs {name}, and there are none: {limits.shapes}"
                fix = f"add {name}: as many tokens as the longest request has"
                yield Problem("NCDK-COMPILE-010", at, message, allowed, fix, "")
    count = len(wanted.batch_sizes) * max(1, len(wanted.sequence_lengths))
    if wanted.engine in software.ONE_PROGRAM_A_SHAPE and count > _MOST_SHAPES:
        name = max(given, key=lambda each: len(given[each]))
        message = (
            f"{len(wanted.batch_sizes)} batch_sizes times {len(wanted.sequence_lengths)} sequence_lengths are {count} "
            f"shapes; {wanted.engine} compiles each by itself, and one request can name {_MOST_SHAPES}"
        )
        fix = "keep the shapes that are asked for, or add a model of the same source for some of them"
        yield Problem("NCDK-COMPILE-013", (*at, name), message, f"up to {_MOST_SHAPES} shapes", fix)


def _precision(at: Pointer, wanted: Compile, limits: _Limits) -> Iterator[Problem]:
    if wanted.dtype not in limits.dtypes:
        message = f"{wanted.engine} compiles no {wanted.dtype} for {wanted.target}"
        yield Problem("NCDK-COMPILE-008", at, message, ", ".join(limits.dtypes))


def _cores(at: Pointer, model: Model, limits: _Limits) -> Iterator[Problem]:
    """Whether any instance of the target has the cores; whether those listed do is asked where they are listed."""
    wanted = model.compile
    most = max((each.logical_cores for each in instances.all_types() if each.target == wanted.target), default=0)
    if wanted.tensor_parallel > 1 and limits.spreads is not None and model.task not in limits.spreads:
        able = [name for name, each in LIMITS.items() if each.spreads is None or model.task in each.spreads]
        only = f"only models for {', '.join(limits.spreads)}" if limits.spreads else "no model"
        yield Problem(
            "NCDK-COMPILE-011",
            at,
            f"{wanted.engine} spreads {only} over several NeuronCores",
            "1",
            "set it to 1" + (f", or take an engine that does it: {', '.join(able)}" if able else ""),
        )
    elif wanted.tensor_parallel > max(1, most):
        yield Problem(
            "NCDK-COMPILE-007",
            at,
            f"no instance of target {wanted.target} holds a model spread over {wanted.tensor_parallel} NeuronCores",
            f"1 to {max(1, most)}",
        )


def engines_for(deployment: Deployment, name: str) -> list[str]:
    """The engines that could compile a model for its target and task, and run wherever it is used."""
    model = deployment.models[name]
    wherever = services(deployment, name)
    return [each for each in LIMITS if _knows(each, model.task) and compiles(each, model.compile.target, wherever)]


def _knows(engine: str, task: str) -> bool:
    tasks = LIMITS[engine].tasks
    return tasks is None or task in tasks


def _other_task(deployment: Deployment, name: str) -> Problem:
    model, able = deployment.models[name], engines_for(deployment, name)
    return Problem(
        "NCDK-COMPILE-012",
        ("models", name, "task"),
        f"{model.compile.engine} compiles no models for this task",
        ", ".join(LIMITS[model.compile.engine].tasks or ()),
        f"take an engine that does: {', '.join(able)}" if able else "set the task that the model has",
    )


def _arguments(at: Pointer, wanted: Compile, limits: _Limits) -> Iterator[Problem]:
    if limits.arguments == () and wanted.compiler_args:
        name = "ONNX Runtime" if wanted.engine == "onnxruntime" else wanted.engine
        yield Problem("NCDK-COMPILE-009", at, f"{name} takes no arguments", fix="remove compiler_args")
        return
    for index, argument in enumerate(wanted.compiler_args):
        if limits.arguments is not None and not _among(argument, limits.arguments):
            message = f"{wanted.engine} is not given this argument"
            yield Problem("NCDK-COMPILE-009", (*at, index), message, ", ".join(limits.arguments), "remove it")
        elif argument.split("=")[0] in limits.reserved:
            fix = "use target" if argument.startswith("--target") else "remove it"
            message = "the compile job sets this argument itself"
            yield Problem("NCDK-COMPILE-009", (*at, index), message, fix=fix)


def _among(argument: str, allowed: tuple[str, ...]) -> bool:
    return any(argument.startswith(each) if each.endswith("=") else argument == each for each in allowed)
