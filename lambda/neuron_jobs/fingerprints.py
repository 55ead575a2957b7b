"""Whether the files that came are those the artifact's key was made of.

The key is made when a compile begins, from what S3 knows of the objects; SageMaker downloads them some minutes later.
What was changed in between must not be compiled under that key.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .errors import JobError
from .request import SourceFile

_CHUNK = 1 << 20
_MOST_IN_PYTHON = 32 << 20  # bytes; a CRC in Python alone does some 5 MB/s
_READY = "_READY"  # says that an upload is whole (neuron_hooks.compile.source_changed), and is no part of the model
_CHANGED = "the model's files were changed while the compile began: start it again when nobody uploads"


def check(folder: Path, files: Sequence[SourceFile]) -> None:
    """Compare names, sizes and, where S3's checksum is of the content, contents.

    :raises JobError: naming the first file that differs.
    """
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found.pop(_READY, None)
    expected = {file.path: file for file in files if file.path != _READY}
    for name in sorted(expected.keys() - found.keys()):
        raise JobError(f"{name} is gone: {_CHANGED}")
    for name in sorted(found.keys() - expected.keys()):
        raise JobError(f"{name} is new: {_CHANGED}")
    unchecked = 0
    for name, file in sorted(expected.items()):
        path = found[name]
        if path.stat().st_size != file.size:
            raise JobError(f"{name} has {path.stat().st_size:,} bytes and had {file.size:,}: {_CHANGED}")
        content = content_of(path, file.content)
        if content is None:
            unchecked += 1
        elif content != file.content:
            raise JobError(f"{name} has another content than before: {_CHANGED}")
    if unchecked:
        print(f"{unchecked} of {len(files)} files were compared by size alone", flush=True)


def content_of(path: Path, like: str) -> str | None:
    """The digest of a file in the form of another: ``sha256:…`` and ``crc64nvme:…`` in base 64, as S3 writes them, and
    ``md5:…`` in hexadecimal, an ETag. ``None`` where it cannot be made here.
    """
    kind = like.partition(":")[0]
    if kind == "sha256":
        return f"sha256:{base64.b64encode(_hash(path, 'sha256')).decode()}"
    if kind == "md5":
        return f"md5:{_hash(path, 'md5').hex()}"
    if kind == "crc64nvme":
        crc = _crc64nvme(path)
        return None if crc is None else f"crc64nvme:{base64.b64encode(crc.to_bytes(8, 'big')).decode()}"
    return None


def _hash(path: Path, algorithm: str) -> bytes:
    state = hashlib.new(algorithm, usedforsecurity=algorithm != "md5")
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.digest()


def _crc64nvme(path: Path) -> int | None:
    try:
        compute = importlib.import_module("awscrt.checksums").crc64nvme
    except (ImportError, AttributeError):
        if path.stat().st_size > _MOST_IN_PYTHON:
            return None
        compute = crc64nvme_in_python
    crc = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            crc = int(compute(chunk, crc))
    return crc


def crc64nvme_in_python(content: bytes, previous: int = 0) -> int:
    """CRC-64/NVME, as S3 has it: reflected, all ones before and after; "123456789" gives AE8B14860A799888."""
    table = _table()
    crc = previous ^ 0xFFFFFFFFFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFFFFFFFFFF


@cache
def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
        table.append(crc)
    return table
