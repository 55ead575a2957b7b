"""The compiler flags engine ``torch-neuron`` gives ``neuron-cc``, the compiler of the first Inferentia. Pure.

Source: Neuron's "Neuron compiler CLI Reference Guide (neuron-cc)",
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/compiler/neuron-cc/command-line-reference.html.
``compiler_args`` of a model come last and replace what is pinned here.
"""

from __future__ import annotations

from ..errors import JobError
from ..request import CompileRequest

# Its matrix engine multiplies in BF16 or FP16 only: "none" is "best precision/accuracy", not FP32. The others cast the
# FP32 operations of that engine and leave the rest their type. The default would cast everything to BF16.
_FAST_MATH = {"fp32": "none", "bf16": "fp32-cast-matmult-bf16", "fp16": "fp32-cast-matmult-fp16"}
# What torch_neuron and the request say, and a compiler_arg may not say otherwise.
_OURS = ("--target", "--framework", "--io-config", "--output", "--neuroncore-pipeline-cores")


def flags(request: CompileRequest) -> list[str]:
    """The words of ``compiler_args``.

    :raises JobError: for a target or dtype the compiler does not have, or a ``compiler_args`` that contradicts the
        request.
    """
    if request.target != "inf1":
        raise JobError(f"neuron-cc compiles for inf1, not for {request.target!r}")
    if request.dtype not in _FAST_MATH:
        raise JobError(f"dtype {request.dtype!r} is not one of {', '.join(_FAST_MATH)}")
    if request.tensor_parallel != 1:
        raise JobError(f"engine {request.engine} compiles for one core: tensor_parallel is {request.tensor_parallel}")
    given = {argument.partition("=")[0] for argument in request.compiler_args}
    for name in _OURS:
        if name in given:
            raise JobError(f"compiler_args may not give {name}: the compile job sets it")
    # The older --fp32-cast has "higher priority over --fast-math".
    pinned = [] if given & {"--fast-math", "--fp32-cast"} else ["--fast-math", _FAST_MATH[request.dtype]]
    return [*pinned, *request.compiler_args]
