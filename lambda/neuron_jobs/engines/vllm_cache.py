"""Engine ``vllm``: vLLM with the Neuron plugin compiles a language model's graphs for Trainium2 on a host without it.

Source: Neuron's "CPU Compilation", "Compilation Cache" and "How to develop and test vLLM Neuron in CPU mode", SDK
2.32.0, https://awsdocs-neuron.readthedocs-hosted.com/en/v2.32.0/vllm-neuron/docs/design/compilation/cpu_compilation.html:
the server is started with ``VLLM_NEURON_CPU_COMPILE=1``, ``NEURON_PLATFORM_TARGET_OVERRIDE`` and
``NEURON_LIBTORCH_REMOTE_CACHE``, "a shared filesystem"; "Speculative decoding is not supported". The server's arguments
are those of "Configuration options" of the same release, and vLLM's own.

The pages differ on who fills the remote cache ("saved to this remote location" in one, "promoted explicitly via
``save_cache()``" in the other), so every entry of the local cache is given to ``save_cache``, which leaves alone what
is there. Inferred: that the compile is over when the server answers ``/health``, or ends with status 0.

A hit needs the same graphs, so what it leaves is the cache, the exact arguments of the server, the model's files, and a
script that serves them with the two switches by which a miss is an error (``vllm_serve.py``).
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import JobError
from ..request import CompileRequest
from ..source import files_in
from . import Compiled, Program, hugging_face, shapes
from .serving_code import add_serving_code
from .tool import run

SERVER = ("python3", "-m", "vllm.entrypoints.openai.api_server")
_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
OPTIONS = ("--block-size=", "--kv-cache-dtype=", "--no-enable-prefix-caching", "--additional-config=")
_OURS = ("num_batched_tokens_buckets", "num_seqs_buckets")
# Weights that cannot run code, and what describes them.
_KEPT = (".json", ".safetensors", ".model", ".txt", ".jinja")
_ENTRY = re.compile(r"[0-9a-f]{32}")  # "a 32-character key", an MD5
_MOST_WORKERS = 32


def arguments(request: CompileRequest) -> list[str]:
    """The server's arguments that decide what is compiled; whoever serves the artifact gives the same.

    ``batch_sizes`` are the decode buckets (requests at once), ``sequence_lengths`` the prefill buckets (tokens), the
    longest of which is also the longest request, prompt and answer together.

    :raises JobError: for what vLLM Neuron does not compile on a CPU.
    """
    if request.target != "trn2":
        raise JobError(f"vLLM Neuron compiles for trn2, not for {request.target!r}")
    if request.task != "text-generation":
        raise JobError(f"vLLM serves models for text-generation, not for {request.task!r}")
    if request.dtype not in _TYPES:
        raise JobError(f"dtype {request.dtype!r} is not one of {', '.join(_TYPES)}")
    if not request.sequence_lengths:
        raise JobError("vllm takes sequence_lengths: its prefill buckets, the longest of which is the longest request")
    for argument in request.compiler_args:
        if not any(argument.startswith(each) if each.endswith("=") else argument == each for each in OPTIONS):
            raise JobError(
                f"compiler_args may give engine vllm {', '.join(OPTIONS)}, not {argument}"
                + ("; speculative decoding cannot be compiled on a CPU" if argument.startswith("--spec") else "")
            )
    config = _additional_config(request)
    longest, most = str(max(request.sequence_lengths)), str(max(request.batch_sizes))
    words = ["--dtype", _TYPES[request.dtype], "--tensor-parallel-size", str(request.tensor_parallel)]
    words += ["--max-model-len", longest, "--max-num-batched-tokens", longest, "--max-num-seqs", most]
    if not any(argument.startswith("--block-size=") for argument in request.compiler_args):
        words += ["--block-size", "32"]  # the documented default
    if "on_device_sampling_config" not in config["neuron_config"]:
        words += ["--no-async-scheduling"]  # "it cannot be used with CPU sampling", the default
    words += [each for each in request.compiler_args if not each.startswith("--additional-config=")]
    return [*words, "--additional-config", json.dumps(config, sort_keys=True)]


def environment(request: CompileRequest, work: Path, cache: Path) -> dict[str, str]:
    """Ours, less what would change what is compiled, with the switches of a compile on the CPU."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEURON_", "VLLM_"))}
    workers = max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) // 2))
    return {
        **kept,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TMPDIR": str(work),
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(work / "cache"),
        "VLLM_NEURON_CPU_COMPILE": "1",
        "NEURON_PLATFORM_TARGET_OVERRIDE": request.target,
        "NEURON_LIBTORCH_REMOTE_CACHE": str(cache),
        "NEURON_LIBTORCH_PARALLEL_COMPILE_WORKERS": str(workers),
        # How long a process waits for another's compile; the job has a limit of its own.
        "NEURON_LIBTORCH_COMPILATION_TIMEOUT": "86400",
    }


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Copy the model, start the server as far as its compile goes, and keep its cache."""
    given = arguments(request)
    model, cache = output / "model", output / "cache"
    _copy(source, model)
    cache.mkdir()
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        work = Path(folder)
        port = _free_port()
        words = [*SERVER, "--model", str(model), *given, "--host", "127.0.0.1", "--port", str(port)]
        run(words, environment(request, work, cache), until=_healthy(port))
        _promote(work / "cache" / "neuron" / "compile_cache", cache)
    if not any(entry.is_dir() for entry in cache.iterdir()):
        raise JobError("the server compiled nothing: its cache is empty")
    settings = {"arguments": given, "name": request.name, "tensor_parallel": request.tensor_parallel}
    add_serving_code(output, "vllm_serve.py", settings)
    return Compiled(
        compiler="vllm-neuron",
        version=importlib.metadata.version("vllm-neuron"),
        command=tuple(words),
        # All of them are in the cache, each under the hash of its graph.
        programs=tuple(Program("cache", batch, length) for batch, length in shapes(request)),
        flags=tuple(given),
    )


def _additional_config(request: CompileRequest) -> dict[str, Any]:
    """Ours and the file's. The buckets are the request's."""
    config: dict[str, Any] = {
        "num_batched_tokens_buckets": list(request.sequence_lengths),
        "num_seqs_buckets": list(request.batch_sizes),
    }
    for argument in request.compiler_args:
        if argument.startswith("--additional-config="):
            try:
                added = json.loads(argument.partition("=")[2])
                own = dict(added.pop("neuron_config"))
            except (AttributeError, KeyError, TypeError, ValueError):
                raise JobError('--additional-config takes a JSON object, {"neuron_config": {…}}') from None
            if added or own.keys() & {*_OURS}:
                raise JobError(f"--additional-config may have neuron_config alone, without {' and '.join(_OURS)}")
            config |= own
    return {"neuron_config": config}


def _copy(source: Path, model: Path) -> None:
    hugging_face.configuration(source, "vllm")
    files = [file for file in files_in(source) if file.suffix in _KEPT]
    for file in files:
        target = model / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _promote(local: Path, remote: Path) -> None:
    """Give every entry of the local cache to ``save_cache(local, remote, key)``."""
    save_cache = importlib.import_module("libtorch_neuronx_lite.compile").save_cache
    for entry in sorted(local.iterdir()) if local.is_dir() else ():
        if entry.is_dir() and _ENTRY.fullmatch(entry.name):
            try:
                save_cache(str(local), str(remote), entry.name)
            except RuntimeError as error:  # "if the local entry is incomplete"
                raise JobError(f"graph {entry.name} was not compiled whole: {error}") from error


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _healthy(port: int) -> Callable[[], bool]:
    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    return answers
