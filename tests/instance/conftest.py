"""A machine for each test, an artifact that the job really made, and a fleet that serves it."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import magika
import pytest

from neuron_cdk.fleet.user_data import Boot, ModelServer
from tests.instance.machine import IMAGE, KEY, LAMBDA, URI, Instance, Metadata
from tests.instance.model_server import in_service


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    metadata = Metadata()
    yield metadata
    metadata.server.shutdown()
    metadata.server.server_close()


@pytest.fixture
def instance(tmp_path: Path, metadata: Metadata) -> Iterator[Instance]:
    instance = Instance(tmp_path, metadata)
    yield instance
    instance.kill()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real artifact: the job's own output for a model of file types."""
    root = tmp_path_factory.mktemp("magika") / "ml"
    for folder in ("source", "request"):
        (root / "processing/input" / folder).mkdir(parents=True)
    model = Path(magika.__file__).parent / "models" / "standard_v3_3" / "model.onnx"
    (root / "processing/input/source/model.onnx").write_bytes(model.read_bytes())
    request = {
        "artifact_key": KEY,
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
    (root / "processing/input/request/request.json").write_text(json.dumps(request))
    environment = {**os.environ, "NEURON_JOBS_ROOT": str(root), "PYTHONPATH": str(LAMBDA)}
    subprocess.run([sys.executable, "-m", "neuron_jobs.compile"], env=environment, check=True, capture_output=True)
    return root / "processing/output"


@pytest.fixture
def bucket(instance: Instance, compiled: Path) -> Path:
    """The artifact in S3, as this test may change it."""
    folder = instance.root / "aws/s3/bucket/artifacts" / KEY / "a1"
    folder.mkdir(parents=True)
    for file in compiled.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def serving() -> Boot:
    """A fleet that serves, on two ports nobody has.

    Not ports that a kernel gives out (Linux: from 32768 up): with port 0 a server gets an odd one, and a client's
    connection, open or just closed, may have the even one above it when the health program wants that.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("", port))
                two.bind(("", port + 1))
                break
            except OSError:
                continue
    return Boot(
        fleet="sandbox-Fleet-serve/Fleet",
        region="us-east-1",
        launch_hook="launch",
        terminate_hook="terminate",
        server=ModelServer("magika", "onnxruntime", IMAGE, URI, cores_per_copy=1, port=port, drain_seconds=20),
    )


@pytest.fixture
def up(instance: Any, bucket: Any, serving: Any) -> Any:
    """An instance in service."""
    return in_service(instance, serving)
