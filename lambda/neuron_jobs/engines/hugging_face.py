"""A Hugging Face folder, as every engine that takes one wants it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import JobError
from ..source import files_in


def configuration(source: Path, engine: str) -> dict[str, Any]:
    """What ``config.json`` says of a model whose weights are safetensors.

    :raises JobError: when the folder is none, or its weights are in a format that can run code.
    """
    try:
        config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing = f"engine {engine} takes a Hugging Face folder, which has a config.json beside its files"
        raise JobError(missing) from None
    except ValueError as error:
        raise JobError(f"the model's config.json cannot be read: {error}") from error
    if not any(file.suffix == ".safetensors" for file in files_in(source)):
        raise JobError("a Hugging Face model needs its weights as safetensors: other formats can run code")
    return config
