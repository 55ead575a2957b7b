"""The processes behind an endpoint configuration: per variant its instances, each a container on a loopback port."""

from __future__ import annotations

import contextvars
import http.client
import random
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..processes import Process
from . import capacity, containers, logs, store, transfer

_PING_SECONDS = 480  # SageMaker's default ContainerStartupHealthCheckTimeoutInSeconds
_GRACE_SECONDS = 35.0  # neuron_jobs.serve finishes the requests under way in at most 30


class DeploymentError(Exception):
    """Why an endpoint cannot serve, as FailureReason words it."""


@dataclass
class Instance:
    """One serving process."""

    process: Process
    port: int
    tail: Any = field(default_factory=list)

    def ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)  # SageMaker's limit for /ping
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@dataclass
class Variant:
    """What a production variant became."""

    name: str
    weight: float
    image: str
    instances: list[Instance] = field(default_factory=list)


class Fleet:
    """All processes of one deployment of an endpoint."""

    def __init__(self, endpoint: str, config: str, folder: Path) -> None:
        self.endpoint, self.config, self.folder = endpoint, config, folder
        self.variants: list[Variant] = []
        self._turn = 0

    def start(self) -> None:
        """Bring every instance to answer /ping. Raises ``DeploymentError``, nothing left running, when one does not."""
        try:
            configuration = store.endpoint_configs.get(self.config)
            if configuration is None:
                raise DeploymentError(f"the endpoint configuration {self.config} is gone")
            for declared in configuration["ProductionVariants"]:
                self.variants.append(self._variant(declared))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process, the requests under way first, and remove the models' files."""
        stopping = [
            threading.Thread(target=instance.process.stop, kwargs={"grace": _GRACE_SECONDS})
            for variant in self.variants
            for instance in variant.instances
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        return [instance.process.pid for variant in self.variants for instance in variant.instances]

    def choose(self, name: str | None) -> tuple[Variant, Instance]:
        """The variant ``name``, or one by weight, and its next instance. Raises ``KeyError`` for an unknown name."""
        if name:
            variant = next((variant for variant in self.variants if variant.name == name), None)
            if variant is None:
                raise KeyError(name)
        else:
            variant = random.choices(self.variants, [variant.weight for variant in self.variants])[0]  # noqa: S311
        # One that died is passed over while another lives, as a load balancer's health check would have it.
        candidates = [one for one in variant.instances if one.process.alive] or variant.instances
        self._turn += 1
        return variant, candidates[self._turn % len(candidates)]

    def _variant(self, declared: dict[str, Any]) -> Variant:
        name = declared["VariantName"]
        if not capacity.available(declared["InstanceType"]):
            raise DeploymentError(capacity.SHORT)
        model = store.models.get(declared["ModelName"])
        if model is None:
            raise DeploymentError(f"the model {declared['ModelName']} of variant {name} is gone")
        container = model.get("PrimaryContainer") or model["Containers"][0]
        reason = containers.why_not(container["Image"])
        if reason:
            raise DeploymentError(reason)
        variant = Variant(name, declared.get("InitialVariantWeight", 1.0), container["Image"])
        self._download(container, self.folder / name / "model", name)
        try:
            for _ in range(declared["InitialInstanceCount"]):
                variant.instances.append(self._instance(declared, model, container))
            for instance in variant.instances:
                self._await(instance, name, declared.get("ContainerStartupHealthCheckTimeoutInSeconds", _PING_SECONDS))
        except BaseException:
            for instance in variant.instances:
                instance.process.kill()
            raise
        return variant

    def _download(self, container: dict[str, Any], folder: Path, variant: str) -> None:
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
            raise DeploymentError(f"Failed to download model data for production variant {variant}: {error}") from error
        arriving.rename(folder)

    def _instance(self, declared: dict[str, Any], model: dict[str, Any], container: dict[str, Any]) -> Instance:
        root = self.folder / declared["VariantName"]
        port = _free_port()
        variables = {"SERVE_MODEL_DIR": f"{containers.ROOT}/model"} | container.get("Environment", {}) | {
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SERVE_BIND_HOST": "127.0.0.1",
            "PYTHONPATH": str(self.code),
        }  # fmt: skip
        process = Process(
            ["python3", "-m", "neuron_jobs.serve"],
            environment=containers.environment(root, variables, isolated=model.get("EnableNetworkIsolation", False)),
            folder=root,
        )
        instance = Instance(process, port)
        stream = f"{declared['VariantName']}/i-{uuid.uuid4().hex[:17]}"

        def ship() -> None:
            instance.tail = logs.ship(process.output, group=f"/aws/sagemaker/Endpoints/{self.endpoint}", stream=stream)
            process.wait()

        threading.Thread(
            target=contextvars.copy_context().run, args=(ship,), name=f"logs-{stream}", daemon=True
        ).start()
        return instance

    def _await(self, instance: Instance, variant: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and instance.process.alive:
            if instance.ping():
                return
            time.sleep(0.05)
        instance.process.kill()
        instance.process.wait()
        said = " ".join(list(instance.tail)[-1:])
        raise DeploymentError(
            f"The primary container for production variant {variant} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint.{f' Last line: {said}' if said else ''}"
        )

    code: Path  # where neuron_jobs lies, for the image that stands for it; set once by configure()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def images(variants: Iterable[Variant]) -> list[dict[str, Any]]:
    """The variants as DescribeEndpoint shows them."""
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [{"SpecifiedImage": variant.image, "ResolvedImage": variant.image}],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": len(variant.instances),
            "DesiredInstanceCount": len(variant.instances),
        }
        for variant in variants
    ]
