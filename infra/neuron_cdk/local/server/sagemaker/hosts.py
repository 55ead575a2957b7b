"""A variant of an endpoint of components: bare instances that copies of components are placed on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import capacity, pools, replicas
from .placement import Resources, of_type
from .pools import Pool
from .replicas import Replica
from .store import Record


@dataclass(eq=False)
class Slot:
    """A copy's place on an instance, from before the copy starts until it has drained."""

    host: Host
    resources: Resources
    replica: Replica | None = None


@dataclass(eq=False)
class Host:
    """One instance without a container of its own."""

    pool: Pool
    slots: list[Slot] = field(default_factory=list)
    idle: int = 0
    """Changes with every copy that comes: an instance is idle while it does not."""

    @property
    def free(self) -> Resources:
        return of_type(self.pool.instance_type).without(slot.resources for slot in self.slots)


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
        self.least: int = managed.get("MinInstanceCount", 1)
        self.most: int = managed.get("MaxInstanceCount", declared["InitialInstanceCount"])
        self.desired: int = declared["InitialInstanceCount"]
        self.hosts: list[Host] = []
        """Read and changed with ``replicas.lock`` held."""

    @property
    def count(self) -> int:
        return len(self.hosts)

    @property
    def replicas(self) -> list[Replica]:
        return [slot.replica for host in self.hosts for slot in host.slots if slot.replica]

    @property
    def types(self) -> Counter[str]:
        return Counter(host.pool.instance_type for host in self.hosts)

    def images(self) -> list[str]:
        return list(dict.fromkeys(replica.image for replica in self.replicas))

    def grow(self, by: int) -> None:
        """Raises ``DeploymentError`` when there is no capacity; what has come before stays."""
        for _ in range(by):
            host = Host(pools.provision(self.declared))
            with replicas.lock:
                self.hosts.append(host)

    def scale(self, to: int) -> None:
        """Have ``to`` instances; the emptiest are ended, and what copies they have."""
        if to > self.count:
            self.grow(to - self.count)
            return
        with replicas.lock:
            leaving = sorted(self.hosts, key=lambda host: (not host.slots, host.pool.priority))[to:]
        replicas.stop(slot.replica for host in leaving for slot in host.slots if slot.replica)
        self.end(leaving)

    def end(self, leaving: list[Host]) -> None:
        """Give instances back, which have no copies any more."""
        with replicas.lock:
            gone = [host for host in leaving if host in self.hosts]
            self.hosts = [host for host in self.hosts if host not in gone]
        for host in gone:
            capacity.give_back(host.pool.instance_type)
