"""A stand-in for torch-neuronx: takes what its documentation names, and keeps what it was given in what it gives."""

import os

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
