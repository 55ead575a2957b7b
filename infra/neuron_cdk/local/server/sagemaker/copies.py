"""The copies of one inference component: placed on instances, started, asked and ended."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from ..clock import clock
from . import containers, placement, pools, replicas
from .hosts import Host, HostVariant, Slot
from .replicas import DeploymentError, Replica
from .store import Record
from .traffic import Serving

_turn = itertools.count()
_IDLE_SECONDS = 600.0
"""How long an instance without copies stays: "after an additional 10 minutes of inactivity" ("Unlock cost savings with
the new scale down to zero feature in SageMaker Inference", AWS Machine Learning Blog), unless ScaleInPolicy says."""

NO_ROOM = (
    "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference "
    "component. Please update resource requirements for this inference component, remove existing inference "
    "components, or increase the number of instances for this endpoint."
)


class Component:
    """A component in service; ``record`` is what SageMaker remembers of it."""

    def __init__(self, record: Record, serving: Serving) -> None:
        self.record, self.serving = record, serving
        self.name: str = record["InferenceComponentName"]
        self.variant: str = record["VariantName"]
        self.specifications = specifications_of(record)
        """What new copies are; the record has it once all are."""
        self.slots: list[Slot] = []
        """Copies in service. Read and changed with ``replicas.lock`` held."""

    @property
    def count(self) -> int:
        return len(self.slots)

    @property
    def replicas(self) -> list[Replica]:
        return [slot.replica for slot in self.slots if slot.replica]

    @property
    def placed(self) -> Counter[str]:
        """Copies by instance type."""
        return Counter(slot.host.pool.instance_type for slot in self.slots)

    def enter(self) -> Replica | None:
        """The copy with the fewest requests, with one more now; None while there is none."""
        with replicas.lock:
            there = self.replicas
            candidates = [one for one in there if one.process.alive] or there
            if not candidates:
                return None
            start = next(_turn) % len(candidates)
            chosen = min(candidates[start:] + candidates[:start], key=lambda one: one.in_flight)
            chosen.enter()
            return chosen

    def grow(self, by: int, *, on: HostVariant | None = None) -> list[Slot]:
        """Bring so many more copies into service, on instances of ``on`` or of the variant in service.

        Raises ``DeploymentError``, with none more, when one has no room or does not start.
        """
        variant = on or self._hosts()
        coming: list[Slot] = []
        try:
            for _ in range(by):
                slot = self._slot(variant)
                coming.append(slot)
                self._launch(slot, variant)
            startup = self._specification(variant.declared)["StartupParameters"]
            for slot in coming:
                assert slot.replica is not None
                seconds = startup.get("ContainerStartupHealthCheckTimeoutInSeconds")
                slot.replica.await_ping(seconds, whose=f"inference component {self.name}")
        except BaseException:
            for slot in coming:
                if slot.replica:
                    slot.replica.process.kill()
                self._vacate(slot, variant)
            raise
        with replicas.lock:
            self.slots.extend(coming)
        return coming

    def shrink(self, leaving: list[Slot]) -> None:
        """End these copies; returns when they have drained."""
        with replicas.lock:
            self.slots = [slot for slot in self.slots if slot not in leaving]
        replicas.stop(slot.replica for slot in leaving if slot.replica)
        variants = [variant for fleet in self.serving.fleets for variant in fleet.variants]
        for slot in leaving:
            owner = next((v for v in variants if isinstance(v, HostVariant) and slot.host in v.hosts), None)
            self._vacate(slot, owner)

    def scale(self, to: int) -> None:
        """Have ``to`` copies. Raises ``DeploymentError``; those that came before stay."""
        while self.count < to:
            self.grow(1)
        if self.count > to:
            emptiest = sorted(self.slots, key=lambda slot: -len(slot.host.slots))
            self.shrink(emptiest[to:])

    def _hosts(self) -> HostVariant:
        found = self.serving.fleet.find(self.variant)
        if not isinstance(found, HostVariant):
            raise DeploymentError(f"the variant {self.variant} is gone")
        return found

    def _slot(self, variant: HostVariant) -> Slot:
        """Room for a copy, on an instance that is there or on one more."""
        slot = self._slot_on(variant)
        if slot is not None:
            return slot
        fits = any(
            placement.of_type(kind).holds(placement.needed(self._specification({"InstanceType": kind})))
            for kind in pools.types(variant.declared)
        )
        if not (fits and variant.managed and variant.count < variant.most):
            raise DeploymentError(NO_ROOM)
        variant.grow(1)
        variant.desired = variant.count
        slot = self._slot_on(variant)
        if slot is None:  # another component was sooner, or the pool that had capacity is too small
            raise DeploymentError(NO_ROOM)
        return slot

    def _slot_on(self, variant: HostVariant) -> Slot | None:
        with replicas.lock:
            for host in sorted(variant.hosts, key=lambda each: -len(each.slots)):
                needed = placement.needed(self._specification({"InstanceType": host.pool.instance_type}))
                if host.free.holds(needed):
                    slot = Slot(host, needed)
                    host.slots.append(slot)
                    host.idle += 1
                    return slot
        return None

    def _vacate(self, slot: Slot, variant: HostVariant | None) -> None:
        with replicas.lock:
            slot.host.slots.remove(slot)
        if variant is not None:
            release_when_idle(variant, slot.host)

    def _launch(self, slot: Slot, variant: HostVariant) -> None:
        specification = self._specification({"InstanceType": slot.host.pool.instance_type})
        whose = f"inference component {self.name}"
        model, container = model_of(specification, self.name)
        slot.replica = replicas.launch(
            model,
            container,
            variant.folder / "components" / self.name / model["ModelName"],
            endpoint=self.serving.name,
            whose=whose,
            stream=f"{self.variant}/{self.name}",
        )

    def _specification(self, of: Record) -> Record:
        """What the component is on an instance type, or on the first of a variant."""
        kind = of.get("InstanceType") or pools.types(of)[0]
        several = self.specifications
        specification = next((each for each in several if each.get("InstanceType") == kind), several[0])
        return {"StartupParameters": {}} | specification


def specifications_of(record: Record) -> list[Record]:
    """The only one, or one for each instance type."""
    return list(record.get("Specifications") or [record["Specification"]])


def model_of(specification: Record, name: str) -> tuple[Record, Record]:
    """The model and container of a specification. Raises ``DeploymentError`` when it cannot run here."""
    if "ModelName" in specification:
        return replicas.container_of(specification["ModelName"], whose=f"inference component {name}")
    given: dict[str, Any] = specification["Container"]
    reason = containers.why_not(given["Image"])
    if reason:
        raise DeploymentError(reason)
    container = {"Image": given["Image"], "Environment": given.get("Environment", {})}
    if "ArtifactUrl" in given:
        container["ModelDataUrl"] = given["ArtifactUrl"]
    return {"ModelName": name}, container


def release_when_idle(variant: HostVariant, host: Host) -> None:
    """Give the instance back when no copy has come to it for a while, if managed instance scaling lets it."""
    if host.slots or not variant.managed:
        return
    minutes = variant.declared["ManagedInstanceScaling"].get("ScaleInPolicy", {}).get("CooldownInMinutes")
    seen = host.idle

    def look() -> None:
        with replicas.lock:
            idle = host in variant.hosts and host.idle == seen and not host.slots
            if not idle or variant.count <= variant.least:
                return
        variant.end([host])
        variant.desired = variant.count

    clock.call_later(minutes * 60 if minutes else _IDLE_SECONDS, look)
