"""Engine ``tensorflow-neuronx``: a TensorFlow SavedModel is traced and compiled for a NeuronCore.

Sources, both of SDK 2.17.0, the last that has an image with TensorFlow (below
https://awsdocs-neuron.readthedocs-hosted.com/en/v2.17.0/):

- "TensorFlow 2.x (tensorflow-neuronx) Tracing API",
  frameworks/tensorflow/tensorflow-neuronx/tfneuronx-python-tracing-api.html: ``tensorflow_neuronx.trace(func,
  example_inputs)`` takes a function of a list of tensors with such a list, and gives a ``keras.Model`` that is exported
  by ``save`` and served by TensorFlow Serving; options reach the compiler by ``NEURON_CC_FLAGS``;
- "Neuron Compiler CLI Reference Guide (neuronx-cc)",
  compiler/neuronx-cc/api-reference-guide/neuron-compiler-cli-reference-guide.html: ``--target`` and the other options;
  of competing ones the last counts.

Inferred, for nobody runs it here and Neuron says neither: that a host without Neuron devices can trace (torch-neuronx
names a switch for that, TensorFlow none), and that ``--target`` in ``NEURON_CC_FLAGS`` decides the chip. The published
sources of tensorflow-neuron 2.10 (aws-neuron/aws-neuron-tensorflow at 3fd6869, for the first Inferentia) hand the
variable's options to the compiler as they are, last of all, and run on no device. They also put back what did not
compile, without an error: ``on_neuron_ratio`` of the result tells, and 0 fails the job.

The model is one folder with ``saved_model.pb``. Its signature ``serving_default``, or its only one, says what it takes:
a free first dimension of an input is the batch, any other free one the sequence length. There is one shape, and the
result is where the image's server looks: ``/opt/ml/model/<number>/saved_model.pb`` (aws/deep-learning-containers,
``find_models`` of tensorflow/inference/docker/build_artifacts/sagemaker_neuron/tfs_utils.py). It keeps the signature's
names.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import JobError
from ..request import CompileRequest
from ..source import files_in, listing
from . import Compiled, Program, check_sequences, neuron_flags, shapes

TARGETS = ("inf2", "trn1", "trn1n")
# What may be added, of the command line's page. Left out: what trains, and names files. The tracing API's own words in
# NEURON_CC_FLAGS (--workdir, --dynamic-batch-size, --extract-weights) are none of the compiler's.
OPTIONS = (
    "--model-type=",
    "--auto-cast=",
    "--auto-cast-type=",
    "--optlevel=",
    "--enable-saturate-infinity",
    "--enable-fast-context-switch",
    "--enable-fast-loading-neuron-binaries",
)
_SIGNATURE = "serving_default"
_VERSION = "1"
_DTYPES = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")

Description = dict[str, Any]


def flags(request: CompileRequest) -> list[str]:
    """The words of ``NEURON_CC_FLAGS``.

    :raises JobError: for what the compiler of this release does not do.
    """
    if request.target not in TARGETS:
        raise JobError(f"tensorflow-neuronx compiles for {', '.join(TARGETS)}, not for {request.target!r}")
    for argument in request.compiler_args:
        if not any(argument.startswith(one) if one.endswith("=") else argument == one for one in OPTIONS):
            raise JobError(f"compiler_args may give engine tensorflow-neuronx {', '.join(OPTIONS)}, not {argument}")
    return ["--target", request.target, *neuron_flags.flags(request)]


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Trace the signature for the one shape, and save it where TensorFlow Serving finds it."""
    words = flags(request)
    if len(shapes(request)) != 1:
        raise JobError("TensorFlow Serving loads one model: give one of batch_sizes and at most one sequence length")
    ((batch, length),) = shapes(request)
    folder = _saved_model(source)
    # Read when the trace runs; what an image or a host sets must not change what is compiled.
    os.environ["NEURON_CC_FLAGS"] = shlex.join(words)
    import tensorflow as tf  # type: ignore[import-untyped]
    import tensorflow_neuronx  # type: ignore[import-not-found]

    model = tf.saved_model.load(str(folder))  # to be kept: a signature alone does not keep its variables
    signature = _signature(model)
    inputs = _inputs(signature)
    check_sequences(request, any("sequence" in one["shape"] for one in inputs))
    specs = [_fixed(tf, one, batch, length) for one in inputs]
    example = [tf.ones(spec.shape, spec.dtype) for spec in specs]
    outputs = _outputs(signature, _ask(signature, inputs, example), batch, length)

    def forward(tensors: Sequence[Any]) -> list[Any]:
        answers = _ask(signature, inputs, tensors)
        return [answers[one["name"]] for one in outputs]

    traced = tensorflow_neuronx.trace(forward, example)
    print(f"on_neuron_ratio: {traced.on_neuron_ratio}", flush=True)
    if not traced.on_neuron_ratio:
        raise JobError("the compiler took no part of the model, all of which would run on the CPU; see above")

    @tf.function  # type: ignore[untyped-decorator]
    def serve(*tensors: Any) -> dict[str, Any]:
        return dict(zip((one["name"] for one in outputs), traced(list(tensors)), strict=True))

    traced.save(str(output / _VERSION), signatures={_SIGNATURE: serve.get_concrete_function(*specs)})
    return Compiled(
        compiler="tensorflow-neuronx",
        version=importlib.metadata.version("tensorflow-neuronx"),
        command=("tensorflow_neuronx.trace", f"NEURON_CC_FLAGS={os.environ['NEURON_CC_FLAGS']}"),
        programs=(Program(f"{_VERSION}/saved_model.pb", batch, length),),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        flags=tuple(words),
    )


def _saved_model(source: Path) -> Path:
    """The folder of the one SavedModel, wherever in the source it lies."""
    found = [file for file in files_in(source) if file.name == "saved_model.pb"]
    if len(found) == 1:
        return found[0].parent
    seen = listing(found or files_in(source), source)
    raise JobError(f"engine tensorflow-neuronx takes one SavedModel, a folder with saved_model.pb; found {seen}")


def _signature(model: Any) -> Any:
    signatures: Mapping[str, Any] = model.signatures
    if _SIGNATURE in signatures:
        return signatures[_SIGNATURE]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    found = ", ".join(sorted(signatures)) or "none"
    raise JobError(f"the SavedModel has no signature {_SIGNATURE!r}, which says what it takes; it has {found}")


def _inputs(signature: Any) -> list[Description]:
    """What the signature takes, by name."""
    _, named = signature.structured_input_signature
    described = []
    for name, spec in sorted(named.items()):
        if spec.dtype.name not in _DTYPES:
            raise JobError(f"input {name!r} is of type {spec.dtype.name}; a NeuronCore takes {', '.join(_DTYPES)}")
        if spec.shape.rank is None:
            raise JobError(f"input {name!r} has no shape: export the model with a signature that says its dimensions")
        sizes = spec.shape.as_list()
        shape = [("sequence" if axis else "batch") if size is None else size for axis, size in enumerate(sizes)]
        described.append({"name": name, "dtype": spec.dtype.name, "shape": shape})
    return described


def _fixed(tf: Any, described: Description, batch: int, length: int | None) -> Any:
    """An input as it is compiled."""
    first = described["shape"][:1]
    if first and first[0] not in ("batch", batch):
        raise JobError(
            f"input {described['name']!r} has the fixed shape {described['shape']}: it cannot take batches of {batch}"
        )
    sizes = {"batch": batch, "sequence": length}
    shape = [sizes.get(dimension, dimension) for dimension in described["shape"]]
    return tf.TensorSpec(shape, getattr(tf, described["dtype"]), name=described["name"])


def _ask(signature: Any, inputs: Sequence[Description], tensors: Sequence[Any]) -> Mapping[str, Any]:
    answers: Mapping[str, Any] = signature(**{one["name"]: tensor for one, tensor in zip(inputs, tensors, strict=True)})
    return answers


def _outputs(signature: Any, answers: Mapping[str, Any], batch: int, length: int | None) -> list[Description]:
    """What the model answers, by name; it has been asked on this host's CPU, for the sizes that are free."""

    def dimensions(name: str, spec: Any) -> Iterator[int | str]:
        declared = spec.shape.as_list() if spec.shape.rank is not None else None
        for axis, size in enumerate(answers[name].shape):
            if declared and declared[axis] is not None:
                yield int(size)
            elif axis == 0 and size == batch:
                yield "batch"
            else:
                yield "sequence" if length is not None and size == length else int(size)

    return [
        {"name": name, "dtype": spec.dtype.name, "shape": list(dimensions(name, spec))}
        for name, spec in sorted(signature.structured_outputs.items())
    ]
