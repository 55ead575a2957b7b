"""The compiler flags that engines give ``neuronx-cc`` themselves. Pure.

Source: Neuron's "Neuron Compiler CLI Reference Guide (neuronx-cc)", SDK 2.32.0,
https://awsdocs-neuron.readthedocs-hosted.com/en/v2.32.0/compiler/neuronx-cc/api-reference-guide/index.html. Everything
that has a default which has changed, or is announced to, is given explicitly: one request makes one artifact, whatever
the SDK's defaults become. ``compiler_args`` of a model come last and replace what is pinned here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import JobError
from ..request import CompileRequest

TARGETS = ("inf2", "trn1", "trn1n", "trn2")
# FP32 operations of the matrix engine are cast, the rest keeps its type (how-to "Generate a NEFF": matmult, bf16).
_AUTO_CAST = {
    "fp32": ("none", None),
    "bf16": ("matmult", "bf16"),
    "fp16": ("matmult", "fp16"),
    "fp8": ("matmult", "fp8_e4m3"),
}
_TRANSFORMER_TASKS = {
    "feature-extraction",
    "fill-mask",
    "question-answering",
    "sentence-similarity",
    "text-classification",
    "text-generation",
    "text-ranking",
    "token-classification",
}
# Other spellings of what is pinned.
_SHORT = {
    "--optlevel": ("-O",),
    "--logical-nc-config": ("-lnc", "--lnc"),
    "--enable-mixed-precision-accumulation": ("--disable-mixed-precision-accumulation",),
}
# What the request itself says, and a compiler_arg may not say otherwise.
_OURS = ("--target", "--framework", "--output", "--logfile")


def flags(request: CompileRequest) -> list[str]:
    """The flags after ``--target``, as words.

    :raises JobError: for a target or dtype the compiler does not have, or a ``compiler_args`` that contradicts the
        request.
    """
    if request.target not in TARGETS:
        raise JobError(f"neuronx-cc compiles for {', '.join(TARGETS)}, not for {request.target!r}")
    if request.dtype not in _AUTO_CAST:
        raise JobError(f"dtype {request.dtype!r} is not one of {', '.join(_AUTO_CAST)}")
    if request.tensor_parallel != 1:
        raise JobError(f"engine {request.engine} compiles for one core: tensor_parallel is {request.tensor_parallel}")
    for name in _OURS:
        if _given(name, request.compiler_args):
            raise JobError(f"compiler_args may not give {name}: the compile job sets it")
    pinned = [words for words in _pinned(request) if not _given(words[0], request.compiler_args)]
    return [word for words in pinned for word in words] + list(request.compiler_args)


def _pinned(request: CompileRequest) -> list[tuple[str, ...]]:
    mode, kind = _AUTO_CAST[request.dtype]
    pinned: list[tuple[str, ...]] = [
        ("--model-type", "transformer" if request.task in _TRANSFORMER_TASKS else "generic"),
        # SDK 2.27 changed the defaults of both: matmult and off before it (whats-new, 2.27).
        ("--auto-cast", mode),
        ("--optlevel", "2"),
    ]
    if _release(request.sdk) >= (2, 18):  # which brought the option (the compiler's release notes, 2.13.66)
        pinned.insert(2, ("--enable-mixed-precision-accumulation",))
    if kind:
        pinned.insert(2, ("--auto-cast-type", kind))
    if request.target == "trn2":
        pinned.append(("--logical-nc-config", "2"))
    if _release(request.sdk) >= (2, 32):
        # Both came with 2.32, whose release notes announce other defaults for the release after it, and how to keep
        # these.
        pinned.append(("--implicit-integer-downcast", "all"))
        if request.target == "trn2":
            pinned.append(("--native-int64", "disabled"))
    return pinned


def _given(name: str, arguments: Sequence[str]) -> bool:
    return any(argument == name or argument.startswith((f"{name}=", *_SHORT.get(name, ()))) for argument in arguments)


def _release(sdk: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in sdk.split(".")[:2])
    except ValueError:
        raise JobError(f"{sdk!r} is not a Neuron SDK version such as 2.31.1") from None
