"""One serving process: an instance of a variant, or a copy of an inference component."""

from __future__ import annotations

import contextvars
import http.client
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..api import ServiceError
from ..iam.authorization import RefusedError
from ..processes import Process
from . import containers, logs, roles, store, transfer
from .store import Record

_PING_SECONDS = 480  # SageMaker's default ContainerStartupHealthCheckTimeoutInSeconds
_GRACE_SECONDS = 35.0  # neuron_jobs.serve finishes the requests under way in at most 30

_code: Path
lock = threading.RLock()
"""Held by whoever chooses a replica, and by whoever takes one out of service."""
_idle = threading.Condition(lock)
_downloading = threading.Lock()


def configure(code: Path) -> None:
    """Where ``neuron_jobs`` lies, for the image that stands for it."""
    global _code
    _code = code


class DeploymentError(Exception):
    """Why an endpoint or a component cannot serve, as FailureReason words it."""


class Replica:
    """A container that answers, and the requests it has."""

    def __init__(self, process: Process, port: int, *, model: str, image: str) -> None:
        self.process, self.port, self.model, self.image = process, port, model, image
        self.tail: Sequence[str] = ()
        self.in_flight = 0
        self._area, self._since = 0.0, time.monotonic()
        self._sampled = self._since

    def enter(self) -> None:
        """A request is on its way to it. With ``lock`` held."""
        self._count(1)

    def leave(self) -> None:
        with lock:
            self._count(-1)
            _idle.notify_all()

    def concurrency(self) -> float:
        """Requests it had at a time, on average over the real time since the last call."""
        with lock:
            self._count(0)
            now = self._since
            elapsed, area = now - self._sampled, self._area
            self._area, self._sampled = 0.0, now
            return area / elapsed if elapsed > 0.001 else float(self.in_flight)

    def _count(self, by: int) -> None:
        now = time.monotonic()
        self._area += self.in_flight * (now - self._since)
        self._since = now
        self.in_flight += by

    def stop(self) -> None:
        """End it once the requests that were on their way are answered. It must be out of service already."""
        deadline = time.monotonic() + _GRACE_SECONDS
        with _idle:
            while self.in_flight and self.process.alive and time.monotonic() < deadline:
                _idle.wait(0.5)
        self.process.stop(grace=_GRACE_SECONDS)

    def await_ping(self, seconds: float | None, *, whose: str) -> None:
        """Return when it answers /ping. Raises ``DeploymentError``, the process ended, when it does not."""
        deadline = time.monotonic() + (seconds or _PING_SECONDS)
        while time.monotonic() < deadline and self.process.alive:
            if self._ping():
                return
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        said = " ".join(list(self.tail)[-1:])
        raise DeploymentError(
            f"The primary container for {whose} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint.{f' Last line: {said}' if said else ''}"
        )

    def _ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)  # SageMaker's limit for /ping
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def stop(leaving: Iterable[Replica]) -> None:
    """End these, which are out of service, all at a time; returns when the last is gone."""
    stopping = [threading.Thread(target=replica.stop) for replica in leaving]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


def container_of(model_name: str, *, whose: str) -> tuple[Record, Record]:
    """The model and its container. Raises ``DeploymentError`` for a model that is gone or cannot run here."""
    model: Record | None = store.models.get(model_name)
    if model is None:
        raise DeploymentError(f"the model {model_name} of {whose} is gone")
    container: Record = model.get("PrimaryContainer") or model["Containers"][0]
    reason = containers.why_not(container["Image"])
    if reason:
        raise DeploymentError(reason)
    return model, container


def launch(
    model: Record,
    container: Record,
    root: Path,
    *,
    endpoint: str,
    whose: str,
    stream: str,
    key: str | None = None,
) -> Replica:
    """Start a process below ``root``, where the model's files are fetched to once. ``await_ping`` comes next.

    All of it as the model's role. Raises ``DeploymentError``.

    :param key: the customer's key of the instance's volume.
    """
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    try:
        with roles.acting(model.get("ExecutionRoleArn")):
            roles.may_start(container["Image"], network=model.get("VpcConfig"), key=key, log_group=group)
            return _launch(model, container, root, group=group, whose=whose, stream=stream)
    except (RefusedError, ServiceError) as error:
        raise DeploymentError(str(error)) from error


def _launch(model: Record, container: Record, root: Path, *, group: str, whose: str, stream: str) -> Replica:
    with _downloading:
        _download(container, root / "model", whose)
    port = _free_port()
    variables = {"SERVE_MODEL_DIR": f"{containers.ROOT}/model"} | container.get("Environment", {}) | {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SERVE_BIND_HOST": "127.0.0.1",
        "PYTHONPATH": str(_code),
    }  # fmt: skip
    process = Process(
        ["python3", "-m", "neuron_jobs.serve"],
        environment=containers.environment(root, variables, isolated=model.get("EnableNetworkIsolation", False)),
        folder=root,
    )
    replica = Replica(process, port, model=model["ModelName"], image=container["Image"])
    name = f"{stream}/i-{uuid.uuid4().hex[:17]}"

    def ship() -> None:
        replica.tail = logs.ship(process.output, group=group, stream=name)
        process.wait()

    threading.Thread(target=contextvars.copy_context().run, args=(ship,), name=f"logs-{name}", daemon=True).start()
    return replica


def _download(container: dict[str, Any], folder: Path, whose: str) -> None:
    if folder.is_dir():  # restarted from the saved state: an instance keeps its disk
        return
    arriving = folder.with_name("arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    try:
        if container.get("ModelDataUrl"):
            transfer.download_archive(container["ModelDataUrl"], arriving)
        elif source.get("CompressionType") == "Gzip":
            transfer.download_archive(source["S3Uri"], arriving)
        elif source:
            transfer.download_prefix(source["S3Uri"], arriving)
    except transfer.TransferError as error:
        raise DeploymentError(f"Failed to download model data for {whose}: {error}") from error
    arriving.rename(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
