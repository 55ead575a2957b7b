"""What serves an artifact of engine ``vllm``: its ``code/inference.py``, run by ``python3`` in AWS's vLLM Neuron image.

Source: Neuron's "CPU Compilation", SDK 2.32.0: "ensure the remote cache artifacts are available on the local filesystem
(either via the same NFS/FSx mount or by syncing to the local cache directory)", and, so that nothing compiles at
start-up, ``NEURON_LIBTORCH_DISABLE_GRAPH_CAPTURE_BACKEND=1`` and ``VLLM_NEURON_DISABLE_WARMUP_COMPILE=1``: a graph that
is not in the cache ends the server with a RuntimeError. The artifact is read-only, so the cache is copied.

The server is vLLM's, with the very arguments of the compile: its API is OpenAI's (``/v1/…``), and it answers
SageMaker's ``GET /ping`` and ``POST /invocations`` as well (vLLM's ``api_server``). SAGEMAKER_BIND_TO_PORT is its port,
8080 by default.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from artifact_files import settings  # type: ignore[import-not-found]


def main(folder: Path, root: Path) -> None:
    """Become the server.

    :param folder: the artifact.
    :param root: where vLLM keeps its caches.
    :raises ValueError: when a file of the artifact is not the one that was compiled.
    """
    known = settings(folder)
    shutil.copytree(folder / "cache", root / "neuron" / "compile_cache", dirs_exist_ok=True)
    # Each worker of the server takes a core of its own, of those it can see.
    os.environ.pop("NEURON_RT_NUM_CORES", None)
    os.environ.update(
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        VLLM_NO_USAGE_STATS="1",
        VLLM_CACHE_ROOT=str(root),
        NEURON_LIBTORCH_REMOTE_CACHE=str(folder / "cache"),
        NEURON_LIBTORCH_DISABLE_GRAPH_CAPTURE_BACKEND="1",
        VLLM_NEURON_DISABLE_WARMUP_COMPILE="1",
    )
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    words = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder / "model")]
    words += [*known["arguments"], "--served-model-name", known["name"], "--host", "0.0.0.0", "--port", port]  # noqa: S104  (the host's network; its security group decides)
    print("+", *words, flush=True)
    os.execvp(words[0], words)  # noqa: S606  (no shell, and the image's own Python)


if __name__ == "__main__":
    place = os.environ.get("VLLM_CACHE_ROOT") or str(Path.home() / ".cache" / "vllm")
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/opt/ml/model"), Path(place))
