"""What AWS's PyTorch Neuron serving container runs for an artifact of engine ``torch-neuronx`` or
``torch-neuron``: its ``code/inference.py``.

The container's toolkit (aws/sagemaker-pytorch-inference-toolkit) calls ``model_fn`` once in each worker, then
``input_fn``, ``predict_fn`` and ``output_fn`` for every request. Requests and answers are those of target ``cpu``:
``{"inputs": {name: nested list}}`` in, ``{"outputs": {name: nested list}}`` out; with a tokenizer in the artifact,
``{"inputs": "text"}`` or a list of texts as well. This file stands alone: nothing else of the project is in that
container.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from pathlib import Path
from typing import Any

# A worker that took every core would leave none to the next (Neuron Runtime configuration guide).
os.environ.setdefault("NEURON_RT_NUM_CORES", "1")

import torch


class Model:
    """The programs of an artifact, each on a NeuronCore, the smallest batch first.

    :raises ValueError: when a file is not the one that was compiled.
    """

    def __init__(self, folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        _verify(folder, manifest["files"])
        # Without it TorchScript does not know the operator that a program consists of ("Unknown builtin op", Neuron's
        # troubleshooting guide for torch-neuron); Neuron's own handlers import either module before they load.
        importlib.import_module({"torch-neuron": "torch_neuron"}.get(manifest["engine"], "torch_neuronx"))
        self.inputs = manifest["inputs"]
        self.outputs = manifest["outputs"]
        programs = sorted(manifest["programs"], key=lambda entry: entry["batch_size"])
        self.programs = [
            (entry["batch_size"], entry.get("sequence_length"), torch.jit.load(str(folder / entry["file"])))
            for entry in programs
        ]
        self.lengths = sorted({length for _, length, _ in self.programs if length is not None})
        self.tokenizer = _tokenizer(folder / "tokenizer")


def model_fn(model_dir: str) -> Model:
    """Load the artifact. Nothing is compiled here."""
    return Model(Path(model_dir))


def input_fn(body: str | bytes, content_type: str) -> Any:
    """The value of ``inputs``, or the whole document."""
    if content_type.partition(";")[0].strip() != "application/json":
        raise _refusal(415, f"Content-Type {content_type} is not understood; send application/json")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise _refusal(400, f"the body is not JSON: {error}") from None
    return document.get("inputs", document) if isinstance(document, dict) else document


def predict_fn(data: Any, model: Model) -> dict[str, Any]:
    """Run a request through the programs of its sequence length, padding and splitting its rows."""
    feed = _tensors(_named(data, model), model)
    rows, length = _sizes(feed, model)
    programs = [(batch, program) for batch, known, program in model.programs if known == length]
    largest = programs[-1][0]
    parts: list[list[Any]] = []
    with torch.no_grad():
        for start in range(0, rows, largest):
            count = min(rows - start, largest)
            batch, program = next((batch, program) for batch, program in programs if batch >= count)
            answer = program(*(_pad(tensor[start : start + count], batch) for tensor in feed))
            answers = answer if isinstance(answer, (tuple, list)) else (answer,)
            parts.append([tensor[:count] for tensor in answers if isinstance(tensor, torch.Tensor)])
    joined = [torch.cat(pieces) for pieces in zip(*parts, strict=True)]
    return {output["name"]: tensor.tolist() for output, tensor in zip(model.outputs, joined, strict=True)}


def output_fn(prediction: dict[str, Any], _accept: str) -> tuple[str, str]:
    """The answer and its type, JSON whatever is accepted: there is nothing else."""
    return json.dumps({"outputs": prediction}), "application/json"


def _named(data: Any, model: Model) -> dict[str, Any]:
    """The values by input name, texts made into tokens."""
    texts = [data] if isinstance(data, str) else data
    if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
        return _tokenize(texts, model)
    names = [description["name"] for description in model.inputs]
    if isinstance(data, list) and len(names) == 1:
        return {names[0]: data}
    if not isinstance(data, dict) or sorted(data) != sorted(names):
        raise _refusal(400, f"expected the inputs {names}")
    return data


def _tokenize(texts: list[str], model: Model) -> dict[str, Any]:
    """Tokens padded to the shortest compiled length that holds them all, cut off at the longest."""
    if model.tokenizer is None or not model.lengths:
        raise _refusal(400, "the artifact has no tokenizer: send numbers, not text")
    tokens = model.tokenizer(texts, truncation=True, max_length=model.lengths[-1])["input_ids"]
    longest = max(len(row) for row in tokens)
    length = next(length for length in model.lengths if length >= longest)
    padded = model.tokenizer(texts, padding="max_length", truncation=True, max_length=length)
    return {description["name"]: padded[description["name"]] for description in model.inputs}


def _tensors(values: dict[str, Any], model: Model) -> list[Any]:
    """The values as tensors, in the order the programs take them."""
    tensors = []
    for description in model.inputs:
        name, wanted = description["name"], description["shape"]
        try:
            tensor = torch.tensor(values[name], dtype=getattr(torch, description["dtype"]))
        except (TypeError, ValueError, RuntimeError) as error:
            raise _refusal(400, f"input {name!r}: {error}") from None
        given = list(tensor.shape)
        fixed = [size if isinstance(size, int) else real for size, real in zip(wanted, given, strict=False)]
        if len(given) != len(wanted) or given != fixed:
            raise _refusal(400, f"input {name!r} takes shape {wanted}; given {given}")
        tensors.append(tensor)
    return tensors


def _sizes(feed: list[Any], model: Model) -> tuple[int, int | None]:
    """Rows and sequence length of a request, which all its inputs must share."""
    found: dict[str, set[int]] = {"batch": set(), "sequence": set()}
    for description, tensor in zip(model.inputs, feed, strict=True):
        for mark, size in zip(description["shape"], tensor.shape, strict=True):
            if isinstance(mark, str):
                found[mark].add(size)
    if found["batch"] == {0} or any(len(sizes) > 1 for sizes in found.values()):
        raise _refusal(400, "the inputs must have the same rows and the same length, and at least one row")
    length = next(iter(found["sequence"]), None)
    if length is not None and length not in model.lengths:
        raise _refusal(400, f"sequence length {length} is not compiled; compiled are {model.lengths}")
    return next(iter(found["batch"])), length


def _pad(tensor: Any, rows: int) -> Any:
    """Repeat the last row: a value the model is sure to take."""
    return torch.cat([tensor, *[tensor[-1:]] * (rows - len(tensor))])


def _verify(folder: Path, files: list[dict[str, Any]]) -> None:
    for entry in files:
        digest = hashlib.sha256()
        with (folder / entry["path"]).open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != entry["sha256"]:
            raise ValueError(f"the artifact is corrupt: {entry['path']} is not what the manifest lists")


def _tokenizer(folder: Path) -> Any:
    if not folder.is_dir():
        return None
    from transformers import AutoTokenizer  # type: ignore[import-not-found]

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def _refusal(status: int, message: str) -> Exception:
    """The toolkit's own error: any other would reach the client as status 500."""
    from sagemaker_inference.errors import BaseInferenceToolkitError  # type: ignore[import-not-found]

    error: Exception = BaseInferenceToolkitError(status, message, message)
    return error
