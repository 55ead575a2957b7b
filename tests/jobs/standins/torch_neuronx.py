"""A stand-in for torch-neuronx: takes what its documentation names, and keeps what it was given in what it gives.

NEURONX_CC_ENDS may be ``killed``: its compiler is, and it says so as the original does (hlo_compile in
torch_neuronx/xla_impl/trace.py, whose traceback is in https://github.com/aws-neuron/aws-neuron-samples/issues/10).
"""

import os
import subprocess

import torch

__version__ = "2.9.0.2.14"


def trace(
    func,
    example_inputs,
    *,
    input_output_aliases=None,
    compiler_workdir=None,
    compiler_args=None,
    partitioner_config=None,
    inline_weights_to_neff=True,
    cpu_backend=False,
):
    assert os.path.isdir(compiler_workdir)
    assert "NEURON_CC_FLAGS" not in os.environ, "flags of the image would be added"
    assert not cpu_backend or "--target" in compiler_args, "cpu_backend needs a target"
    if os.environ.get("NEURONX_CC_ENDS") == "killed":
        status = subprocess.run(["sh", "-c", "kill -9 $$"]).returncode
        raise RuntimeError(f"neuronx-cc failed with {status}")
    return torch.Module(
        {
            "op": "neuron::forward_v2",
            "compiler_args": compiler_args,
            "cpu_backend": cpu_backend,
            "shapes": [list(value.shape) for value in example_inputs],
            "dtypes": [str(value.dtype) for value in example_inputs],
        }
    )


torch.operators.add("neuron::forward_v2")
