"""The job and the server as what they are: processes, below a folder that stands for ``/opt/ml``."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import magika
import pytest

LAMBDA = Path(__file__).resolve().parents[2] / "lambda"
STAND_INS = Path(__file__).resolve().parent / "standins"
MAGIKA = Path(magika.__file__).parent / "models" / "standard_v3_3" / "model.onnx"


@pytest.fixture(scope="session")
def magika_model() -> Path:
    """A real model, shipped by a package: file types from 2,048 bytes (free batch dimension)."""
    return MAGIKA


@pytest.fixture
def compile_request() -> dict[str, Any]:
    """``request.json`` for a model of target cpu."""
    return {
        "artifact_key": "ab" * 32,
        "attempt": "a1",
        "model": {
            "name": "magika",
            "source": {"kind": "s3", "uri": "s3://models/magika/"},
            "task": "file-type",
            "engine": "onnxruntime",
            "target": "cpu",
            "sdk": "1.32.0",
            "dtype": "fp32",
            "batch_sizes": [1, 4],
            "sequence_lengths": [],
            "tensor_parallel": 1,
            "compiler_args": [],
        },
    }


class Job:
    """A processing container's folders and the job's process in them."""

    def __init__(self, root: Path, request: dict[str, Any]) -> None:
        self.root = root
        self.request = request
        self.source = root / "processing" / "input" / "source"
        self.output = root / "processing" / "output"
        self.message = root / "output" / "message"
        self.source.mkdir(parents=True)
        (root / "processing" / "input" / "request").mkdir()

    def environment(self, path: str = "") -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEURON_")},
            "PATH": os.pathsep.join(filter(None, [path, os.environ["PATH"]])),
            "NEURON_JOBS_ROOT": str(self.root),
            "PYTHONPATH": os.pathsep.join([str(LAMBDA), path]),
        }

    def start(self, *, path: str = "", **variables: str) -> subprocess.Popen[str]:
        file = self.root / "processing" / "input" / "request" / "request.json"
        file.write_text(json.dumps(self.request))
        return subprocess.Popen(
            [sys.executable, "-m", "neuron_jobs.compile"],
            env={**self.environment(path), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *, path: str = "", **variables: str) -> int:
        """Run to the end; what was printed is in ``printed``."""
        process = self.start(path=path, **variables)
        self.printed, _ = process.communicate(timeout=300)
        return process.returncode

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.output / "manifest.json").read_text())
        return document


@pytest.fixture
def job(tmp_path: Path, compile_request: dict[str, Any]) -> Job:
    return Job(tmp_path / "ml", compile_request)


@pytest.fixture(scope="session")
def job_in() -> Callable[..., Job]:
    """A job of engine onnxruntime below a folder, for a model with these fields."""

    def make(folder: Path, **model: Any) -> Job:
        wanted = {
            "name": "model",
            "source": {"kind": "s3"},
            "task": "any",
            "engine": "onnxruntime",
            "target": "cpu",
            "sdk": "1.32.0",
            "dtype": "fp32",
            "batch_sizes": [1, 4],
            "sequence_lengths": [],
            "tensor_parallel": 1,
            "compiler_args": [],
        }
        return Job(folder / "ml", {"artifact_key": "ab" * 32, "attempt": "a1", "model": wanted | model})

    return make


@pytest.fixture(scope="session")
def serving() -> Callable[[Path], Server]:
    """Start a server for an artifact; whoever does stops it."""
    return Server


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory, job_in: Callable[..., Job]) -> Job:
    """magika, compiled for batches of 1 and 4; the source is gone afterwards."""
    job = job_in(tmp_path_factory.mktemp("magika"), name="magika", task="file-type")
    (job.source / "model.onnx").write_bytes(MAGIKA.read_bytes())
    assert job.run() == 0, job.printed
    (job.source / "model.onnx").unlink()
    return job


class Server:
    """A serving container's process and a client of it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "neuron_jobs.serve"],
            env={
                **os.environ,
                "PYTHONPATH": str(LAMBDA),
                "SERVE_MODEL_DIR": str(folder),
                "SAGEMAKER_BIND_TO_PORT": "0",
                "SERVE_BIND_HOST": "127.0.0.1",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        self.listening = json.loads(line) if line else {}
        self.url = f"http://127.0.0.1:{self.listening.get('port')}"

    def get(self, path: str) -> int:
        return self._call(urllib.request.Request(self.url + path))[0]

    def post(self, document: object, *, path: str = "/invocations", **headers: str) -> tuple[int, dict[str, Any]]:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self._call(
            urllib.request.Request(self.url + path, body, {"Content-Type": "application/json", **headers})
        )

    def _call(self, request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=300)
        return self.process.returncode


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(folder: Path, **variables: str) -> Server:
        servers.append(Server(folder, **variables))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="module")
def server(compiled: Job) -> Iterator[Server]:
    """The compiled magika, served."""
    server = Server(compiled.output)
    yield server
    server.stop()


@pytest.fixture
def stand_ins() -> str:
    """A folder for PATH and PYTHONPATH that stands for a Neuron image: its compiler, torch and torch_neuronx."""
    return str(STAND_INS)


@pytest.fixture
def llama(job: Job) -> Job:
    """A job for a language model; each engine's tests say the engine, the target and the shapes."""
    job.request["model"] |= {"name": "llama", "dtype": "bf16", "task": "text-generation"}
    (job.source / "config.json").write_text('{"model_type": "llama"}')
    (job.source / "model.safetensors").write_bytes(b"weights")
    (job.source / "tokenizer.json").write_text("{}")
    return job


@pytest.fixture
def inference_script(stand_ins: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[Job], ModuleType]:
    """Run a job against the stand-ins; its ``code/inference.py``, loaded as the container's toolkit does."""

    def load(job: Job) -> ModuleType:
        assert job.run(path=stand_ins) == 0, job.printed
        monkeypatch.syspath_prepend(stand_ins)
        spec = importlib.util.spec_from_file_location("inference", job.output / "code" / "inference.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
