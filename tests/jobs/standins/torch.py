"""A stand-in for PyTorch: as much of it as tracing and serving touch, on NumPy."""

import contextlib
import json
import types

import numpy as np

int64, float32 = np.dtype("int64"), np.dtype("float32")


class Tensor(np.ndarray):
    """What ``isinstance`` asks for, and how it becomes NumPy's."""

    def is_floating_point(self):
        return self.dtype.kind == "f"

    def float(self):
        return self.astype("float32")

    def numpy(self):
        return np.asarray(self)


def tensor(values, dtype):
    return np.array(values, dtype=dtype).view(Tensor)


def ones(shape, dtype):
    return np.ones(shape, dtype=dtype).view(Tensor)


def cat(tensors):
    return np.concatenate(tensors).view(Tensor)


class Module:
    """A saved model: answers the mean of its first input over the last axis, and that input; refuses other shapes."""

    def __init__(self, document):
        self.document = document

    def eval(self):
        return self

    def __call__(self, *inputs):
        shapes = self.document.get("shapes")
        assert shapes is None or [list(value.shape) for value in inputs] == shapes, (shapes, inputs)
        return inputs[0].mean(axis=-1).astype("float32").view(Tensor), inputs[0].astype("float32").view(Tensor)


def _load(path, map_location=None):
    with open(path) as file:
        document = json.load(file)
    if document.get("op") not in operators:
        raise RuntimeError(f"Unknown builtin op: {document['op']}.")
    return Module(document)


def _save(module, path):
    with open(path, "w") as file:
        json.dump(module.document, file)


operators = {None}  # torch_neuron and torch_neuronx add theirs
jit = types.SimpleNamespace(load=_load, save=_save)
no_grad = contextlib.nullcontext
