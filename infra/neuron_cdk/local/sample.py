"""The model of the local run: Magika, which tells a file's type from its bytes.

A real network (3 MB of ONNX, Apache-2.0) that a small package ships, so that a machine without a model hub can compile,
serve and check something that matters. The package's own classifier and the original ONNX file are what the compiled
model's answers are held against.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

from .errors import LocalError

MODEL = "magika"
SOURCE = "s3://neuron-cdk-models/magika/"
INPUT, OUTPUT = "bytes", "target_label"
MOST_FILES = 40


def model_folder() -> Path:
    """Where the package keeps ``model.onnx`` and its configuration."""
    package = importlib.util.find_spec(MODEL)
    if package is None or package.origin is None:
        raise LocalError(f"the sample model is not installed; run: pip install {MODEL}")
    return next(Path(package.origin).parent.glob("models/*/model.onnx")).parent


class Sample:
    """What to send, and what the original says to it."""

    def __init__(self) -> None:
        folder = model_folder()
        config = json.loads((folder / "config.min.json").read_text())
        self.model = folder / "model.onnx"
        self.labels: list[str] = config["target_labels_space"]
        self._head, self._tail = config["beg_size"], config["end_size"]
        self._block, self._padding = config["block_size"], config["padding_token"]

    def features(self, content: bytes) -> list[int]:
        """2,048 integers: the first and last 1,024 bytes of a file without its outer white space, padded."""
        head = list(content[: self._block].lstrip()[: self._head])
        tail = list(content[-self._block :].rstrip()[-self._tail :])
        padding = [self._padding]
        features: list[int] = head + padding * (self._head - len(head)) + padding * (self._tail - len(tail)) + tail
        return features

    def label(self, scores: Sequence[float]) -> str:
        """The type a row of scores stands for."""
        return self.labels[max(range(len(scores)), key=scores.__getitem__)]

    def original(self, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """The original ONNX model's scores, run here by ONNX Runtime on the file as the package ships it."""
        import numpy
        import onnxruntime

        session = onnxruntime.InferenceSession(str(self.model), providers=["CPUExecutionProvider"])
        (scores,) = session.run([OUTPUT], {INPUT: numpy.array(rows, dtype=numpy.int32)})
        answer: list[list[float]] = scores.tolist()
        return answer

    def package_labels(self, contents: Sequence[bytes]) -> list[str]:
        """What the Magika package itself calls each file."""
        import magika

        classifier = magika.Magika()
        return [str(classifier.identify_bytes(content).dl.label) for content in contents]


def real_files(folder: Path, *, most: int = MOST_FILES) -> dict[str, bytes]:
    """Files to classify: what lies in ``folder`` and the standard library's modules.

    Small ones are left out: Magika decides about those without its model.
    """
    here = sorted(path for path in folder.iterdir() if path.is_file())
    library = sorted(Path(json.__file__).parent.parent.glob("*.py"))[: MOST_FILES // 2]
    found: dict[str, bytes] = {}
    for path in [*here, *library]:
        content = path.read_bytes()
        if len(content) >= 64 and len(found) < most:
            found[path.name] = content
    return found
