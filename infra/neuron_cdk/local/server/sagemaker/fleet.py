"""What one endpoint configuration became: its variants with their instances."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from . import store
from .hosts import HostVariant
from .replicas import DeploymentError
from .store import Record
from .variants import Variant

AnyVariant = Variant | HostVariant


class Fleet:
    """All instances of one deployment of an endpoint. ``share`` is its part of the requests beside other fleets."""

    def __init__(self, endpoint: str, config: str, folder: Path) -> None:
        self.endpoint, self.config, self.folder = endpoint, config, folder
        self.share = 1.0
        found = store.endpoint_configs.get(config)
        if found is None:
            raise DeploymentError(f"the endpoint configuration {config} is gone")
        self.configuration: Record = found
        self.variants: list[AnyVariant] = [self._variant(declared) for declared in found["ProductionVariants"]]
        self.shadows = [
            Variant(endpoint, declared, folder, shadow=True, key=found.get("KmsKeyId"))
            for declared in found.get("ShadowProductionVariants", [])
        ]

    @property
    def all_variants(self) -> list[AnyVariant]:
        return [*self.variants, *self.shadows]

    @property
    def role(self) -> str | None:
        """The role that SageMaker acts as around the models: it reads requests, and writes answers and captures."""
        if "ExecutionRoleArn" in self.configuration:
            return str(self.configuration["ExecutionRoleArn"])
        model = store.models.get(self.variants[0].declared.get("ModelName"), {})
        found: str | None = model.get("ExecutionRoleArn")
        return found

    @property
    def hosts_components(self) -> bool:
        return any(variant.hosts_components for variant in self.variants)

    @property
    def pids(self) -> list[int]:
        return [replica.process.pid for variant in self.all_variants for replica in variant.replicas]

    def retain(self, kept: Mapping[str, tuple[int, float]]) -> None:
        """Desire these counts and weights, by name of variant, instead of the configuration's."""
        for variant in self.all_variants:
            if variant.name in kept:
                variant.desired, variant.weight = kept[variant.name]
                variant.desired_weight = variant.weight

    def start(self) -> None:
        """Bring every variant to the size it desires. Raises ``DeploymentError``, nothing left, when one cannot be."""
        try:
            for variant in self.all_variants:
                variant.scale(variant.desired)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process, the requests under way first, and remove the models' files."""
        stopping = [threading.Thread(target=variant.scale, args=(0,)) for variant in self.all_variants]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def find(self, name: str) -> AnyVariant | None:
        return next((variant for variant in self.all_variants if variant.name == name), None)

    def _variant(self, declared: Record) -> AnyVariant:
        if "ModelName" not in declared:
            return HostVariant(self.endpoint, declared, self.folder)
        return Variant(self.endpoint, declared, self.folder, key=self.configuration.get("KmsKeyId"))
