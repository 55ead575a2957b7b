"""A stand-in for TensorFlow: as much of it as tracing a SavedModel touches, on NumPy.

A SavedModel is JSON, ``{"signatures": {name: {"inputs": {name: [dtype, shape]}, "outputs": {name: [dtype, shape]}}}}``;
``null`` is a dimension left free. It answers each output with ones, of the first input's sizes where it is free.
"""

import json
import os
import pathlib
import types

import numpy as np

__version__ = "2.10.1"


class DType:
    def __init__(self, name):
        self.name = name


bool, float16, float32, float64, int32, int64, string = map(
    DType, ("bool", "float16", "float32", "float64", "int32", "int64", "string")
)


class TensorShape:
    def __init__(self, sizes):
        self.rank = None if sizes is None else len(sizes)
        self._sizes = sizes

    def as_list(self):
        if self._sizes is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self._sizes)


class TensorSpec:
    def __init__(self, shape, dtype, name=None):
        self.shape = shape if isinstance(shape, TensorShape) else TensorShape(shape)
        self.dtype, self.name = dtype, name


def ones(shape, dtype):
    return np.ones(shape.as_list(), dtype=dtype.name)


class Signature:
    """A concrete function: takes its inputs by name, of the sizes it declares."""

    def __init__(self, document):
        self._declared = document["inputs"]
        self.structured_input_signature = ((), _specs(document["inputs"]))
        self.structured_outputs = _specs(document["outputs"])

    def __call__(self, **inputs):
        assert set(inputs) == set(self._declared), inputs
        for name, (dtype, sizes) in self._declared.items():
            given = inputs[name]
            assert str(given.dtype) == dtype, (name, given.dtype)
            assert len(sizes) == given.ndim, (name, given.shape)
            assert all(free is None or free == size for free, size in zip(sizes, given.shape, strict=True)), name
        first = next(iter(inputs.values())).shape
        answers = {}
        for name, spec in self.structured_outputs.items():
            sizes = first[:1] if spec.shape.rank is None else spec.shape.as_list()
            shape = [first[axis] if size is None else size for axis, size in enumerate(sizes)]
            answers[name] = np.ones(shape, dtype=spec.dtype.name)
        return answers


def _specs(described):
    return {name: TensorSpec(sizes, DType(dtype), name) for name, (dtype, sizes) in described.items()}


def _load(path):
    document = json.loads((pathlib.Path(path) / "saved_model.pb").read_text())
    return types.SimpleNamespace(
        signatures={name: Signature(signature) for name, signature in document["signatures"].items()}
    )


saved_model = types.SimpleNamespace(load=_load)


class Function:
    def __init__(self, called):
        self._called = called

    def get_concrete_function(self, *specs):
        """Traces once; the inputs' names are those of the specs, and so it is saved."""
        answers = self._called(*(ones(spec.shape, spec.dtype) for spec in specs))
        return {
            "inputs": {spec.name: [spec.dtype.name, spec.shape.as_list()] for spec in specs},
            "outputs": {name: [str(answer.dtype), list(answer.shape)] for name, answer in answers.items()},
        }


function = Function


class Model:
    """What a trace gives: a ``keras.Model`` of the function, which takes and gives lists, and can be saved."""

    def __init__(self, called, facts, on_neuron_ratio):
        self._called, self._facts, self.on_neuron_ratio = called, facts, on_neuron_ratio

    def __call__(self, inputs):
        assert isinstance(inputs, list)
        return self._called(inputs)

    def save(self, filepath, overwrite=True, include_optimizer=True, save_format=None, signatures=None, options=None):
        folder = pathlib.Path(filepath)
        (folder / "variables").mkdir(parents=True)
        (folder / "variables" / "variables.index").write_bytes(b"index")
        (folder / "saved_model.pb").write_text(json.dumps({"signatures": signatures, **self._facts}))


assert os.environ.get("NEURON_CC_FLAGS"), "the variable is set before anything is imported"
