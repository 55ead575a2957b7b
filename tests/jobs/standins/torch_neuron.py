"""A stand-in for torch-neuron: takes what its documentation names, and keeps what it was given in what it gives."""

import os
import types

import torch

__version__ = "1.13.1.2.11.13.0"


def trace(
    model,
    example_inputs,
    *,
    compiler_args=None,
    compiler_timeout=None,
    compiler_workdir=None,
    subgraph_builder_function=None,
    minimum_segment_size=2,
    single_fusion_ratio_threshold=0.6,
    fallback=True,
    dynamic_batch_size=False,
    optimizations=None,
):
    assert os.path.isdir(compiler_workdir)
    assert "NEURON_CC_FLAGS" not in os.environ, "flags of the image would be added"
    assert isinstance(example_inputs, tuple)
    return torch.Module(
        {
            "op": "neuron::forward",
            "compiler_args": compiler_args,
            "shapes": [list(value.shape) for value in example_inputs],
            "dtypes": [str(value.dtype) for value in example_inputs],
        }
    )


torch.operators.add("neuron::forward")
torch.neuron = types.SimpleNamespace(trace=trace)
