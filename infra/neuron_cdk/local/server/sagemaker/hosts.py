"""A variant of an endpoint of components: bare instances that copies of components are placed on."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import capacity, pools, replicas
from .placement import Resources, of_type
from .pools import Pool
from .replicas import Replica
from .store import Record


@dataclass(eq=False)
class Host:
    """One instance without a container of its own."""

    pool: Pool
    copies: dict[Replica, Resources] = field(default_factory=dict)
    """What is placed on it, drained copies too until they are gone."""
    leaving: bool = False
    id: str = field(default_factory=lambda: f"i-{uuid.uuid4().hex[:17]}")

    @property
    def free(self) -> Resources:
        return of_type(self.pool.instance_type).without(self.copies.values())


class HostVariant:
    """Instances by count: SageMaker adds and ends them as copies need them, within managed instance scaling."""

    hosts_components = True

    def __init__(self, endpoint: str, declared: Record, folder: Path) -> None:
        self.endpoint, self.declared, self.folder = endpoint, declared, folder
        self.name: str = declared["VariantName"]
        self.weight: float = declared.get("InitialVariantWeight", 1.0)
        self.desired_weight = self.weight
        managed = declared.get("ManagedInstanceScaling", {})
        self.managed = managed.get("Status") == "ENABLED"
        self.least: int = managed.get("MinInstanceCount", 1) if self.managed else 0
        self.most: int | None = managed.get("MaxInstanceCount") if self.managed else None
        self.desired: int = declared.get("InitialInstanceCount", self.least)
        self.hosts: list[Host] = []

    @property
    def count(self) -> int:
        return len(self.hosts)

    @property
    def replicas(self) -> list[Replica]:
        return [copy for host in self.hosts for copy in host.copies]

    @property
    def types(self) -> Counter[str]:
        return Counter(host.pool.instance_type for host in self.hosts)

    def images(self) -> list[str]:
        return list(dict.fromkeys(copy.image for copy in self.replicas))

    def grow(self, by: int) -> None:
        """Raises ``DeploymentError`` when there is no capacity; what has come before stays."""
        for _ in range(by):
            host = Host(pools.provision(self.declared))
            with replicas.lock:
                self.hosts.append(host)

    def scale(self, to: int) -> None:
        """Have ``to`` instances; those that are ended have their copies ended first."""
        if to > self.count:
            self.grow(to - self.count)
            return
        with replicas.lock:
            order = sorted(self.hosts, key=lambda host: (len(host.copies) == 0, host.pool.priority))
            leaving = order[to:]
        for host in leaving:
            self.end(host)

    def end(self, host: Host) -> None:
        """End an instance, its copies first."""
        with replicas.lock:
            host.leaving = True
            copies = list(host.copies)
        replicas.stop(copies)
        with replicas.lock:
            if host in self.hosts:
                self.hosts.remove(host)
                capacity.give_back(host.pool.instance_type)
