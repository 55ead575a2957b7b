"""Instance types: size, chips, network cards, and the EFA interfaces that fit the cards.

A new type is a line in ``data/instances.json``; nothing here knows any type by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from neuron_cdk.catalog._data import nearest, read

InterfaceKind = Literal["interface", "efa", "efa-only"]
EfaLayout = Literal["efa", "efa-only"]


class UnknownInstanceType(LookupError):  # noqa: N818  (it names what is wrong)
    """No such type in the catalogue. ``nearest`` is the closest name there is, if any is close."""

    def __init__(self, name: str, nearest: str | None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"the catalogue has no instance type {name!r}{hint}")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One chip or GPU. Rates are dense peaks in TFLOPS; None where no source we trust gives one."""

    name: str
    vendor: str  # "AWS" | "NVIDIA"
    cores: int  # physical NeuronCores a chip, 0 for a GPU
    memory_gib: float
    memory_bandwidth_gbps: float | None  # GB/s
    bf16_tflops: float | None
    fp8_tflops: float | None
    fp32_tflops: float | None


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """One network card: how many interfaces it takes, of which kinds, and its peak in Gbit/s."""

    index: int
    max_interfaces: int
    interface_types: tuple[InterfaceKind, ...]
    gbps: float

    @property
    def efa(self) -> bool:
        """Whether the card carries EFA."""
        return "efa" in self.interface_types


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """One entry of a launch template's list of network interfaces."""

    network_card_index: int
    device_index: int
    kind: InterfaceKind


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One instance type as EC2 knows it, with the name SageMaker gives it."""

    name: str
    family: str
    vcpu: int
    memory_gib: float
    architecture: str  # "x86_64" | "arm64"
    target: (
        str | None
    )  # what a model is compiled for: inf1 inf2 trn1 trn1n trn2; "cpu" without accelerator; None on GPUs
    accelerator: Accelerator | None
    accelerators: int  # chips or GPUs
    network_gbps: float  # what EC2 states for the whole instance; a peak where it says "up to"
    network_cards: tuple[NetworkCard, ...]
    efa_interfaces: int  # the most it takes; 0 when it has no EFA
    local_disk_gb: int
    purchase: frozenset[str]  # of "on-demand", "spot", "capacity-block"
    placement: frozenset[str]  # of "cluster", "partition", "spread"
    quota_codes: Mapping[str, str]  # Service Quotas codes: "on-demand" and "spot" count vCPUs, "endpoint" instances
    sagemaker_services: frozenset[
        str
    ]  # of "endpoint", "processing", "training", "cluster": whose API knows the ml. name

    @property
    def neuron_cores(self) -> int:
        """Physical NeuronCores. Where two cores act as one (LNC=2, the default on Trainium2) a framework sees half."""
        return self.accelerators * self.accelerator.cores if self.accelerator else 0

    @property
    def logical_cores(self) -> int:
        """NeuronCores as frameworks count them, and as a model is spread over them: on Trainium2 two act as one."""
        return self.neuron_cores // 2 if self.target == "trn2" else self.neuron_cores

    @property
    def accelerator_memory_gib(self) -> float:
        """Memory of all accelerators together, GiB."""
        return self.accelerators * self.accelerator.memory_gib if self.accelerator else 0.0

    @property
    def sagemaker_name(self) -> str | None:
        """The ml. name, where an endpoint accepts it."""
        return f"ml.{self.name}" if "endpoint" in self.sagemaker_services else None


@cache
def get(name: str) -> InstanceType:
    """The type of that name, such as ``trn1.32xlarge``; never an ``ml.`` name.

    Raises :class:`UnknownInstanceType`.
    """
    records = _records()
    if name not in records:
        raise UnknownInstanceType(name, nearest(name, records))
    return _instance_type(records[name])


def all_types() -> tuple[InstanceType, ...]:
    """Every type, in the order of the data file: by family, then by size."""
    return tuple(get(name) for name in _records())


def from_sagemaker(name: str) -> InstanceType:
    """The type behind an ``ml.`` name that any SageMaker service takes.

    ``sagemaker_services`` of the answer says which. Raises :class:`UnknownInstanceType`.
    """
    bare = name.removeprefix("ml.")
    known = {f"ml.{key}" for key, record in _records().items() if record["sagemaker"]}
    if name not in known:
        raise UnknownInstanceType(name, nearest(f"ml.{bare}", known))
    return get(bare)


def interfaces(instance: InstanceType, layout: EfaLayout) -> tuple[NetworkInterface, ...]:
    """The interfaces that give ``instance`` all its EFA bandwidth, network card 0 device 0 first.

    ``efa``: every EFA interface carries IP traffic as well. Device 1 on cards after the first (device 0 where a card
    takes a single interface), as the Neuron guides have it. A first card without EFA keeps a plain interface.

    ``efa-only``: one plain interface for IP, the others carry EFA alone and use no address, as the EC2 guide has it.

    An ``efa-only`` interface is never the first: it carries no address.

    Raises ValueError for a type without EFA, or whose cards do not carry it in this layout.
    """
    if not instance.efa_interfaces:
        raise ValueError(f"{instance.name} has no EFA")
    if not any(layout in card.interface_types for card in instance.network_cards):
        raise ValueError(f"the network cards of {instance.name} carry no interface of kind {layout}")
    first, *others = instance.network_cards
    further = [card for card in others if layout in card.interface_types]
    if layout == "efa":
        kind: InterfaceKind = "efa" if first.efa else "interface"
        return (
            NetworkInterface(first.index, 0, kind),
            *(NetworkInterface(card.index, min(1, card.max_interfaces - 1), "efa") for card in further),
        )
    room = layout in first.interface_types and first.max_interfaces > 1
    return (
        NetworkInterface(first.index, 0, "interface"),
        *((NetworkInterface(first.index, 1, "efa-only"),) if room else ()),
        *(NetworkInterface(card.index, 0, "efa-only") for card in further),
    )


def default_efa_layout(instance: InstanceType) -> Literal["efa", "efa-only", "none"]:
    """The layout a fleet gets unless it asks for another one.

    It is ``efa`` for every type with several network cards: the form that the Neuron guides document. A type with a
    single card gets EFA only on request, for EFA would tie a fleet that seldom needs it to one zone.
    """
    return "efa" if instance.efa_interfaces > 1 else "none"


@cache
def _records() -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in read("instances")["types"]}


@cache
def _accelerator(name: str) -> Accelerator:
    record = next(record for record in read("instances")["chips"] if record["name"] == name)
    return Accelerator(**{key: value for key, value in record.items() if key != "sources"})


def _instance_type(record: dict[str, Any]) -> InstanceType:
    name: str = record["name"]
    family = name.partition(".")[0]
    group = next(group for group in read("instances")["families"] if group["family"] == family)
    chip: str | None = record.get("accelerator")
    return InstanceType(
        name=name,
        family=family,
        vcpu=record["vcpu"],
        memory_gib=record["memory_gib"],
        architecture=group["architecture"],
        target=group["target"],
        accelerator=_accelerator(chip) if chip else None,
        accelerators=record.get("accelerators", 0),
        network_gbps=record["network_gbps"],
        network_cards=_cards(record["cards"]),
        efa_interfaces=record["efa"],
        local_disk_gb=record.get("local_disk_gb", 0),
        purchase=frozenset(record["purchase"]),
        placement=frozenset(record["placement"]),
        quota_codes=MappingProxyType({**group["quota_codes"], **record.get("quota_codes", {})}),
        sagemaker_services=frozenset(record["sagemaker"]),
    )


def _cards(runs: list[dict[str, Any]]) -> tuple[NetworkCard, ...]:
    """Cards are stored as runs of equal ones; ``count`` is 1 unless given."""
    alike = [run for run in runs for _ in range(run.get("count", 1))]
    return tuple(
        NetworkCard(index, run["max_interfaces"], tuple(run["kinds"]), run["gbps"]) for index, run in enumerate(alike)
    )
