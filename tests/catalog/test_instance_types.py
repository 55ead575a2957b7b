"""The catalogue's instance types, compared with EC2's own description and by look-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.catalog import instances
from neuron_cdk.catalog.instances import InstanceType, NetworkCard

NEURON_FAMILIES = {"inf1", "inf2", "trn1", "trn1n", "trn2", "trn2u"}

# Where the catalogue departs from EC2's description on purpose: (type, figure) -> (catalogue, EC2).
# provenance.json has the reasons; a new entry here needs one there.
DECIDED = {
    ("trn2.3xlarge", "accelerator memory"): (96, 512),
    ("trn2.48xlarge", "accelerator memory"): (96, 512),
    ("trn2u.48xlarge", "accelerator"): ("Trainium2", None),
    ("trn2u.48xlarge", "accelerators"): (16, 0),
    ("trn2u.48xlarge", "accelerator memory"): (96, 0),
    ("trn2u.48xlarge", "cores"): (128, 0),
}


def figures_of_catalogue(instance: InstanceType) -> dict[str, Any]:
    chip = instance.accelerator
    return {
        "vcpu": instance.vcpu,
        "memory": instance.memory_gib,
        "architecture": instance.architecture,
        "accelerator": chip.name.removesuffix("-40GB").removesuffix("-80GB") if chip else None,
        "accelerators": instance.accelerators,
        "accelerator memory": chip.memory_gib if chip else 0,
        "cores": instance.neuron_cores,
        "cards": [(card.max_interfaces, card.interface_types, card.gbps) for card in instance.network_cards],
        "interfaces": sum(card.max_interfaces for card in instance.network_cards),
        "efa interfaces": instance.efa_interfaces,
        "network": instance.network_gbps,
        "local disk": instance.local_disk_gb,
        "purchase": instance.purchase,
        "placement": instance.placement,
    }


def figures_of_ec2(described: dict[str, Any]) -> dict[str, Any]:
    network = described["NetworkInfo"]
    neuron = described.get("NeuronInfo", {}).get("NeuronDevices", [])
    (chip,) = neuron or described.get("GpuInfo", {}).get("Gpus", []) or [{"Count": 0, "MemoryInfo": {"SizeInMiB": 0}}]
    times, _, rate = network["NetworkPerformance"].removeprefix("Up to ").removesuffix(" Gigabit").rpartition("x ")
    return {
        "vcpu": described["VCpuInfo"]["DefaultVCpus"],
        "memory": described["MemoryInfo"]["SizeInMiB"] / 1024,
        "architecture": described["ProcessorInfo"]["SupportedArchitectures"][0],
        "accelerator": chip.get("Name"),
        "accelerators": chip["Count"],
        "accelerator memory": round(chip["MemoryInfo"]["SizeInMiB"] / 1024, 3),
        "cores": sum(device["Count"] * device["CoreInfo"]["Count"] for device in neuron),
        "cards": [
            (card["MaximumNetworkInterfaces"], tuple(card["InterfaceTypes"]), card["PeakBandwidthInGbps"])
            for card in network["NetworkCards"]
        ],
        "interfaces": network["MaximumNetworkInterfaces"],
        "efa interfaces": network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
        "network": float(rate) * int(times or 1),
        "local disk": described.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        "purchase": frozenset(described["SupportedUsageClasses"]),
        "placement": frozenset(described["PlacementGroupInfo"]["SupportedStrategies"]),
    }


def test_every_figure_agrees_with_ec2_but_for_the_decided_ones(ec2_types: dict[str, Any]) -> None:
    differences = {}
    for instance in instances.all_types():
        theirs = figures_of_ec2(ec2_types[instance.name])
        for figure, value in figures_of_catalogue(instance).items():
            if value != theirs[figure]:
                differences[instance.name, figure] = (value, theirs[figure])
    assert differences == DECIDED


def test_every_neuron_type_that_ec2_has_is_there(ec2_types: dict[str, Any]) -> None:
    ours = {instance.name for instance in instances.all_types() if instance.family in NEURON_FAMILIES}
    assert ours == {name for name in ec2_types if name.partition(".")[0] in NEURON_FAMILIES}


def test_every_comparable_gpu_type_is_there(ec2_types: dict[str, Any]) -> None:
    families = {"g4dn", "g5", "g6", "g6e", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300"}
    ours = {instance.name for instance in instances.all_types() if instance.family in families}
    assert ours == {name for name in ec2_types if name.partition(".")[0] in families}


def test_sagemaker_services_are_what_the_api_lists(sagemaker_enums: dict[str, set[str]]) -> None:
    ours = {instance.name: instance.sagemaker_services for instance in instances.all_types()}
    api = {name: {service for service, names in sagemaker_enums.items() if f"ml.{name}" in names} for name in ours}
    assert ours == api


def test_trn1_32xlarge_is_as_the_neuron_guide_describes_it() -> None:
    instance = instances.get("trn1.32xlarge")
    assert (instance.vcpu, instance.memory_gib, instance.target) == (128, 512, "trn1")
    assert (instance.accelerators, instance.neuron_cores, instance.accelerator_memory_gib) == (16, 32, 512)
    assert (instance.network_gbps, instance.efa_interfaces, instance.local_disk_gb) == (800, 8, 7600)
    assert instance.purchase == {"on-demand", "spot", "capacity-block"}
    assert instance.quota_codes["on-demand"] == "L-2C3B7624"
    assert instance.sagemaker_name == "ml.trn1.32xlarge"


def test_trn1n_has_no_capacity_blocks() -> None:
    assert instances.get("trn1n.32xlarge").purchase == {"on-demand", "spot"}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("inf1.xlarge", "inf1"),
        ("inf2.xlarge", "inf2"),
        ("trn1.2xlarge", "trn1"),
        ("trn1n.32xlarge", "trn1n"),
        ("trn2.3xlarge", "trn2"),
        ("trn2u.48xlarge", "trn2"),
        ("m5.2xlarge", "cpu"),
        ("g5.xlarge", None),
    ],
)
def test_a_type_names_the_target_to_compile_for(name: str, target: str | None) -> None:
    assert instances.get(name).target == target


def test_a_cpu_host_has_no_accelerator() -> None:
    instance = instances.get("m7i.4xlarge")
    assert instance.accelerator is None
    assert (instance.neuron_cores, instance.accelerator_memory_gib) == (0, 0)


def test_gpus_have_no_neuron_cores() -> None:
    instance = instances.get("p4d.24xlarge")
    assert (instance.accelerators, instance.neuron_cores, instance.accelerator_memory_gib) == (8, 0, 320)


def test_only_a_type_that_endpoints_accept_has_a_sagemaker_name() -> None:
    assert instances.get("trn2.3xlarge").sagemaker_services == {"cluster"}
    assert instances.get("trn2.3xlarge").sagemaker_name is None


def test_cards_are_numbered_from_zero() -> None:
    cards = instances.get("p6-b300.48xlarge").network_cards
    assert [card.index for card in cards] == list(range(17))
    assert cards[0] == NetworkCard(0, 4, ("interface",), 350)
    assert [card.efa for card in cards] == [False] + [True] * 16


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("trn1.32xlage", "trn1.32xlarge"),
        ("inf2.xxlarge", "inf2.xlarge"),
        ("ml.inf2.xlarge", "inf2.xlarge"),
        ("TRN1.32XLARGE", "trn1.32xlarge"),
        ("warp-drive", None),
    ],
)
def test_an_unknown_type_is_refused_with_the_nearest_name(given: str, nearest: str | None) -> None:
    with pytest.raises(instances.UnknownInstanceType) as refusal:
        instances.get(given)
    assert (refusal.value.name, refusal.value.nearest) == (given, nearest)
    assert repr(given) in str(refusal.value)
    assert (f"did you mean {nearest}?" in str(refusal.value)) == (nearest is not None)


def test_a_sagemaker_name_leads_to_its_type() -> None:
    assert instances.from_sagemaker("ml.inf2.xlarge") is instances.get("inf2.xlarge")


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("ml.inf2.xlrge", "ml.inf2.xlarge"), ("inf2.xlarge", "ml.inf2.xlarge"), ("ml.trn2u.48xlarge", "ml.trn2.48xlarge")],
)
def test_an_unknown_sagemaker_name_is_refused_with_the_nearest_name(given: str, nearest: str) -> None:
    with pytest.raises(instances.UnknownInstanceType) as refusal:
        instances.from_sagemaker(given)
    assert refusal.value.nearest == nearest


def test_a_look_up_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from neuron_cdk.catalog import instances, _data\n"
        "instances.get('trn1.32xlarge')\n"
        "assert not {'aws_cdk', 'boto3', 'pydantic', 'yaml', 'difflib'} & set(sys.modules), 'heavy imports'\n"
        "assert _data.read.cache_info().currsize == 1, 'more than one data file'\n"
    )
    source_root = Path(instances.__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=source_root, check=True)
