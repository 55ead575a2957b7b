"""What a compile job is asked for: ``request.json``, as ``neuron_hooks.compile.begin_compile`` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import JobError


@dataclass(frozen=True)
class SourceFile:
    """One object of an S3 source when the key was made.

    ``content`` is a digest of what it holds, as ``fingerprints`` reads it, or "" where S3 knows none.
    """

    path: str
    size: int
    content: str


@dataclass(frozen=True)
class Repository:
    """A Hugging Face repository at one commit; ``include`` are patterns of files beside those always taken."""

    name: str
    revision: str
    include: tuple[str, ...]
    token_secret_arn: str


@dataclass(frozen=True)
class CompileRequest:
    """One artifact: a model, the shapes to fix, the target to compile for.

    ``source_kind`` is ``s3`` (the model's files as they lie under a prefix), ``asset`` (one zip of its folder) or
    ``huggingface`` (``repository``; for engine mirror alone). ``source_files`` is what the key was made of, where the
    request says it; ``include`` are patterns of pickles that may be among the files.
    ``batch_sizes`` and ``sequence_lengths`` are rows and tokens; every combination becomes a program of its own.
    """

    artifact_key: str
    attempt: str
    name: str
    source_kind: str
    task: str
    engine: str
    target: str
    sdk: str
    dtype: str
    batch_sizes: tuple[int, ...]
    sequence_lengths: tuple[int, ...]
    tensor_parallel: int
    compiler_args: tuple[str, ...]
    source_files: tuple[SourceFile, ...] | None = None
    include: tuple[str, ...] = ()
    repository: Repository | None = None


def load(path: Path) -> CompileRequest:
    """Read a request.

    :raises JobError: when the file is missing or is not one that this version of the jobs understands.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        model = document["model"]
        return CompileRequest(
            artifact_key=document["artifact_key"],
            attempt=document["attempt"],
            name=model["name"],
            source_kind=model["source"]["kind"],
            task=model["task"],
            engine=model["engine"],
            target=model["target"],
            sdk=model["sdk"],
            dtype=model["dtype"],
            batch_sizes=tuple(sorted(model["batch_sizes"])),
            sequence_lengths=tuple(sorted(model["sequence_lengths"])),
            tensor_parallel=model["tensor_parallel"],
            compiler_args=tuple(model["compiler_args"]),
            source_files=_files(model["source"]),
            include=tuple(model["source"].get("include", ())),
            repository=_repository(model["source"]),
        )
    except OSError as error:
        raise JobError(f"the compile request cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{path.name} is not a compile request of this version: {error!r}") from error


def _files(source: dict[str, Any]) -> tuple[SourceFile, ...] | None:
    """Paths as SageMaker writes them: a prefix that is one object's whole key becomes a file of that object's name."""
    if "files" not in source:
        return None
    alone = source["uri"].rpartition("/")[2]
    return tuple(
        SourceFile(file["path"].lstrip("/") or alone, int(file["size"]), file.get("content", ""))
        for file in source["files"]
    )


def _repository(source: dict[str, Any]) -> Repository | None:
    if source["kind"] != "huggingface":
        return None
    return Repository(
        source["repository"],
        source["revision"],
        tuple(source.get("include", ())),
        source.get("token_secret_arn", ""),
    )
