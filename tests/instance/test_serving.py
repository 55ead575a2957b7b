"""From an empty machine to a model server that answers: the real server on a real artifact."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.instance.machine import IMAGE, eventually
from tests.instance.model_server import ask


def test_an_instance_goes_into_service_when_its_model_is_warm(up: Any, serving: Any) -> None:
    assert up.completed == ["launch CONTINUE"]
    assert ask(serving.server.port) == 200
    assert up.get(serving.server.health_port, "/else") == 404
    steps = [line.split()[1] for line in up.journal.splitlines() if line.startswith("boot: ")]
    assert steps == ["limits", "neuron", "agent", "artifact", "serve", "ready"]


def test_the_container_is_sagemakers_with_every_way_to_compile_or_download_closed(up: Any, serving: Any) -> None:
    run = json.loads((up.root / "docker/run.json").read_text())
    assert run["image"] == [IMAGE, "serve"]
    assert run["options"]["--volume"] == [f"{up.root}/opt/neuron-cdk/artifact:/opt/ml/model:ro"]
    assert run["options"]["--device"] == [f"{up.root}/dev/neuron0"]
    assert run["options"]["--network"] == ["host"]
    environment = dict(pair.split("=", 1) for pair in run["options"]["--env"])
    assert environment["SAGEMAKER_BIND_TO_PORT"] == str(serving.server.port)
    for switch in ("NEURON_LIBTORCH_DISABLE_GRAPH_CAPTURE_BACKEND", "VLLM_NEURON_DISABLE_WARMUP_COMPILE"):
        assert environment[switch] == "1"
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert environment["NEURON_COMPILE_CACHE_URL"].startswith("/opt/ml/model/")
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"


@pytest.mark.parametrize(
    ("devices", "cores", "each", "workers"), [(1, 2, 1, "2"), (6, 2, 1, "12"), (6, 2, 8, "1"), (12, 2, 4, "6")]
)
def test_as_many_workers_as_there_are_groups_of_cores(
    instance: Any, bucket: Any, serving: Any, devices: int, cores: int, each: int, workers: str
) -> None:
    instance.neuron(devices, cores=cores)
    assert instance.start(replace(serving, server=replace(serving.server, cores_per_copy=each))) == 0
    run = json.loads((instance.root / "docker/run.json").read_text())
    environment = dict(pair.split("=", 1) for pair in run["options"]["--env"])
    assert environment["SAGEMAKER_MODEL_SERVER_WORKERS"] == workers
    assert environment["NEURON_RT_NUM_CORES"] == str(each)
    assert len(run["options"]["--device"]) == devices


def test_a_private_registry_is_logged_into_and_the_token_is_gone_afterwards(up: Any) -> None:
    password, folder = (up.root / "docker/login").read_text().split()
    assert password == "secret-of-us-west-2"  # the registry's region, not the fleet's
    assert not Path(folder).exists()
    assert (up.root / "docker/pulled").read_text() == IMAGE


def test_a_public_registry_needs_no_login(instance: Any, bucket: Any, serving: Any) -> None:
    public = replace(serving.server, image="public.ecr.aws/neuron/pytorch-inference-neuronx:2.9.0")
    assert instance.start(replace(serving, server=public)) == 0
    assert instance.aws_calls("ecr") == []


def test_vllm_is_started_by_its_artifact(instance: Any, bucket: Any, serving: Any) -> None:
    assert instance.start(replace(serving, server=replace(serving.server, engine="vllm", cores_per_copy=2))) == 0
    run = json.loads((instance.root / "docker/run.json").read_text())
    assert run["image"] == [IMAGE, "python3", "/opt/ml/model/code/inference.py"]


def test_health_says_no_before_the_model_is_warm(instance: Any, bucket: Any, serving: Any) -> None:
    instance.install(serving)
    instance.systemctl("start", "neuron-health.service")
    eventually(lambda: instance.get(serving.server.health_port) == 503, "503 while starting")


def test_a_silent_server_is_started_again(up: Any, serving: Any) -> None:
    pid = int((up.root / "docker/neuron-server.pid").read_text())
    os.kill(pid, signal.SIGSTOP)  # as a container whose server has ended and whose entry point has not
    eventually(lambda: up.get(serving.server.health_port) == 503, "503 while silent")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: up.get(serving.server.health_port) == 200, "serving again", what=lambda: up.journal)
    assert "the server is silent: restarted" in up.journal
