"""A variant: its instances, each one serving process, as many as are desired, of the types its pools give."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from . import capacity, pools, replicas
from .pools import Pool
from .replicas import DeploymentError, Replica
from .store import Record

_turn = itertools.count()


class Variant:
    """A production or shadow variant that serves a model itself."""

    hosts_components = False

    def __init__(
        self, endpoint: str, declared: Record, folder: Path, *, shadow: bool = False, key: str | None = None
    ) -> None:
        self.endpoint, self.declared, self.folder, self.shadow = endpoint, declared, folder, shadow
        self._key = key
        self.name: str = declared["VariantName"]
        self.weight: float = declared.get("InitialVariantWeight", 1.0)
        self.desired_weight = self.weight
        self.desired: int = declared["InitialInstanceCount"]
        self.instances: list[tuple[Pool, Replica]] = []
        """In service. Read and changed with ``replicas.lock`` held."""

    @property
    def count(self) -> int:
        return len(self.instances)

    @property
    def replicas(self) -> list[Replica]:
        return [replica for _, replica in self.instances]

    @property
    def types(self) -> Counter[str]:
        return Counter(pool.instance_type for pool, _ in self.instances)

    def images(self) -> list[str]:
        """The images that run, or would run, in the order of the pools."""
        found = [replica.image for replica in self.replicas]
        return list(dict.fromkeys(found))

    def grow(self, by: int) -> None:
        """Bring so many more instances into service. Raises ``DeploymentError``, with none more, if one fails."""
        coming: list[tuple[Pool, Replica]] = []
        taken: list[Pool] = []
        try:
            for _ in range(by):
                pool = pools.provision(self.declared)
                taken.append(pool)
                coming.append((pool, self._launch(pool)))
            for _, replica in coming:
                replica.await_ping(self.declared.get("ContainerStartupHealthCheckTimeoutInSeconds"), whose=self._whose)
        except BaseException:
            for _, replica in coming:
                replica.process.kill()
            for pool in taken:
                capacity.give_back(pool.instance_type)
            raise
        with replicas.lock:
            self.instances.extend(coming)

    def shrink(self, by: int) -> None:
        """End so many instances, those of the last pool first, the newest first; returns when they have drained."""
        with replicas.lock:
            leaving = sorted(enumerate(self.instances), key=lambda each: (each[1][0].priority, each[0]))[-by:]
            gone = [instance for _, instance in leaving] if by > 0 else []
            self.instances = [instance for instance in self.instances if instance not in gone]
        replicas.stop(replica for _, replica in gone)
        for pool, _ in gone:
            capacity.give_back(pool.instance_type)

    def scale(self, to: int) -> None:
        """Have ``to`` instances in service. Raises ``DeploymentError`` when one that is new does not come."""
        if to > self.count:
            self.grow(to - self.count)
        elif to < self.count:
            self.shrink(self.count - to)

    def enter(self) -> Replica | None:
        """The instance with the fewest requests, with one more now; None where there is none. With ``lock`` held."""
        there = self.replicas
        # One that died is passed over while another lives, as a load balancer's health check would have it.
        candidates = [one for one in there if one.process.alive] or there
        if not candidates:
            return None
        start = next(_turn) % len(candidates)
        chosen = min(candidates[start:] + candidates[:start], key=lambda one: one.in_flight)
        chosen.enter()
        return chosen

    @property
    def _whose(self) -> str:
        return f"production variant {self.name}"

    def _launch(self, pool: Pool) -> Replica:
        if pool.model is None:
            raise DeploymentError(f"{self._whose} has no model for {pool.instance_type}")
        model, container = replicas.container_of(pool.model, whose=self._whose)
        root = self.folder / self.name / pool.model
        return replicas.launch(
            model, container, root, endpoint=self.endpoint, whose=self._whose, stream=self.name, key=self._key
        )
