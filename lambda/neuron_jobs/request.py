"""What a compile job is asked for: ``request.json``, as ``neuron_hooks.begin_compile`` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import JobError


@dataclass(frozen=True)
class CompileRequest:
    """One artifact: a model, the shapes to fix, the target to compile for.

    ``source_kind`` is ``s3`` (the model's files as they lie under a prefix) or ``asset`` (one zip of its folder).
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
        )
    except OSError as error:
        raise JobError(f"the compile request cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{path.name} is not a compile request of this version: {error!r}") from error
