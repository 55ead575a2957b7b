"""A stand-in for tensorflow-neuronx: takes what its pages of SDK 2.17.0 name, and keeps what it was given.

"TensorFlow 2.x (tensorflow-neuronx) Tracing API" for the arguments, "Neuron Compiler CLI Reference Guide (neuronx-cc)"
for what NEURON_CC_FLAGS may hold (both https://awsdocs-neuron.readthedocs-hosted.com/en/v2.17.0/). What the compiler
refuses is put back on the CPU, without an error, as the published sources of tensorflow-neuron 2.10 do.
"""

import argparse
import os
import shlex

import tensorflow as tf


class _RefusedError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise _RefusedError(message)


def _flags():
    parser = _Parser("neuronx-cc", allow_abbrev=False)
    parser.add_argument("--target", required=True, choices=["inf2", "trn1", "trn1n"])
    parser.add_argument("--model-type", choices=["generic", "transformer", "unet-inference"])
    parser.add_argument("--auto-cast", choices=["matmult", "all", "none"])
    parser.add_argument("--auto-cast-type", choices=["bf16", "fp16", "tf32", "fp8_e4m3"])
    parser.add_argument("--distribution-strategy", choices=["llm-training"])
    parser.add_argument("--optlevel", "-O", choices=["1", "2", "3"])
    parser.add_argument("--enable-saturate-infinity", action="store_true")
    parser.add_argument("--enable-fast-context-switch", action="store_true")
    parser.add_argument("--enable-fast-loading-neuron-binaries", action="store_true")
    return vars(parser.parse_args(shlex.split(os.environ["NEURON_CC_FLAGS"])))


def trace(func, example_inputs, subgraph_builder_function=None):
    assert isinstance(example_inputs, list)
    facts = {"shapes": [list(value.shape) for value in example_inputs]}
    answers = func(example_inputs)
    assert isinstance(answers, list)
    try:
        facts["flags"] = _flags()
    except _RefusedError as refused:
        print(f"neuronx-cc failed with: {refused}", flush=True)
        return tf.Model(func, facts, 0)
    return tf.Model(func, facts, 0.97)
