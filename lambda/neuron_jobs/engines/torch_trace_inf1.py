"""Engine ``torch-neuron``: a PyTorch model is traced and compiled for the first Inferentia, on a host that has none.

Source: Neuron's "PyTorch-Neuron trace python API",
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/archive/torch-neuron/api-compilation-python-api.html:
``torch_neuron.trace(model, example_inputs, **kwargs)``, called as ``torch.neuron.trace`` after ``import torch_neuron``,
"sends operations to the Neuron-Compiler (neuron-cc) for compilation and embeds compiled artifacts in a TorchScript
graph. Compilation can be done on any EC2 machine with sufficient memory and compute resources"; ``compiler_args`` is a
"list of strings representing neuron-cc compiler arguments", ``compiler_workdir`` the "work directory used by
neuron-cc". Operations that neuron-cc does not know run on the CPU, which is its default (``fallback``).

The model is one TorchScript file (``*.pt``) beside ``inputs.json`` (see ``torch_trace``). AWS's image for Inf1 has no
``transformers``, neither to load a Hugging Face folder with nor to make inputs of text, so text is not served.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import JobError
from ..request import CompileRequest
from . import Compiled
from .neuron_cc_flags import flags
from .torch_trace import add_serving_code, checks, load_torchscript, trace_each


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Trace one program per shape, and add what AWS's serving container needs to answer with them."""
    arguments = flags(request)
    if (source / "config.json").is_file() and not (source / "inputs.json").is_file():
        raise JobError(
            "engine torch-neuron takes one TorchScript file (*.pt) beside inputs.json: its image has no transformers "
            "to load a Hugging Face folder with"
        )
    # What an image or a host sets must not change what is compiled.
    os.environ.pop("NEURON_CC_FLAGS", None)
    import torch
    import torch_neuron

    def trace(model: Any, example: tuple[Any, ...], work: str) -> Any:
        return torch.neuron.trace(model, example, compiler_args=arguments, compiler_workdir=work)

    model, inputs = load_torchscript(torch, source)
    programs, outputs = trace_each(torch, request, model, inputs, output, trace)
    add_serving_code(output)
    return Compiled(
        compiler="torch-neuron",
        version=torch_neuron.__version__,
        command=("torch.neuron.trace", *arguments),
        programs=programs,
        inputs=tuple(inputs),
        outputs=outputs,
        flags=tuple(arguments),
        checks=checks(torch, model, inputs, outputs),
    )
