"""The folder ``code`` of an artifact: what its serving container runs, and what that has to know."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add_serving_code(output: Path, script: str, settings: Mapping[str, Any]) -> None:
    """Add ``code/inference.py``, where AWS's PyTorch and Hugging Face containers look for ``model_fn`` and its like.

    So a container needs no environment of its own for an artifact: what it would say lies beside the script, in
    ``code/settings.json``, and is part of what the key stands for.

    :param script: a file of ``neuron_jobs`` that stands alone, but for ``artifact_files.py``, which goes with it.
    """
    code = output / "code"
    code.mkdir()
    for name, file in (("inference.py", script), ("artifact_files.py", "artifact_files.py")):
        (code / name).write_bytes(pkgutil.get_data("neuron_jobs", file) or b"")
    (code / "settings.json").write_text(json.dumps(dict(settings), indent=1) + "\n", encoding="utf-8")
