"""Files that run code when Python loads them: pickles, by what they hold, whatever they are called.

``torch.save`` writes a zip with a ``data.pkl``, before PyTorch 1.6 a bare pickle; either is unpickled by
``torch.load``, and "loading un-trusted checkpoint with weights_only=False must never be done" (PyTorch's SECURITY.md).
``joblib``, ``dill`` and NumPy's object arrays are pickles too.

A TorchScript file is a zip with a ``constants.pkl``, which ``torch.jit.load`` reads by a parser of its own: nothing is
imported for it. It is taken, since it is what engine torch-neuronx compiles; but it is a program, to be "treated the
same way as locally executable code" (the same page). Compile jobs run without a network for that reason.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .errors import JobError
from .names import any_matches

_NAMES = ("*.bin", "*.ckpt", "*.dill", "*.joblib", "*.pickle", "*.pkl", "*.pt", "*.pth")
# Formats that are nothing else: a file of such a name that is not TorchScript is not looked into any further.
_ALWAYS = ("*.dill", "*.joblib", "*.pickle", "*.pkl")
_OPCODES = 4
_HEAD = 1 << 16


def named_so(path: str) -> bool:
    """Whether a file's name is one that pickles have."""
    return any_matches(path, _NAMES)


def refuse(folder: Path, allowed: Iterable[str]) -> None:
    """:raises JobError: naming the first file below a folder that is a pickle and that no pattern of ``allowed`` names.

    Links are not followed: there are none in what SageMaker downloads and in what these jobs unpack.
    """
    patterns = tuple(allowed)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if not any_matches(name, patterns) and is_pickle(file):
            raise JobError(
                f"{name} is a pickle, which can run code when it is loaded: give the model as safetensors or ONNX, "
                "take the file away, or name it in include if you trust whoever made it"
            )


def is_pickle(file: Path) -> bool:
    """Whether loading a file would unpickle something."""
    if zipfile.is_zipfile(file):
        return _zip_of_pickles(file)
    if any_matches(file.name, _ALWAYS):
        return True
    with file.open("rb") as stream:
        return _begins_as_pickle(stream.read(_HEAD))


def _zip_of_pickles(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as opened:
            names = opened.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return True  # of a kind that hides what it holds
    pickled = [name for name in names if name.endswith((".pkl", ".pickle"))]
    roots = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == "constants.pkl"}
    scripts = {root for root in roots if any(name.startswith(f"{root}/code/") for name in names)}
    # torch.load, too, takes an archive with a constants.pkl for TorchScript and leaves it to torch.jit.load
    # (torch/serialization.py, _is_torchscript_zip). Any other pickle in a zip is somebody's.
    ours = {f"{root}/{name}" for root in scripts for name in ("constants.pkl", "data.pkl")}
    return any(name not in ours and ".debug_pkl" not in name for name in pickled)


def _begins_as_pickle(head: bytes) -> bool:
    """Protocol 2 and up announce themselves; what follows must be opcodes, for other formats may begin alike."""
    if len(head) < 3 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        return False
    read = 0
    try:
        for _ in pickletools.genops(head):
            read += 1
            if read == _OPCODES:
                return True
    except Exception:  # not an opcode, or one cut short
        # A long string may be cut by the end of what was read.
        return read >= _OPCODES - 1 and len(head) == _HEAD
    return True  # a whole, tiny one
