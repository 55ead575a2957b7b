"""The compatibility table: what works together, what is chosen by default, and what is dead and why."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from neuron_cdk.catalog import instances, provenance, regions, software
from neuron_cdk.catalog.software import DeadCombination, Software, UnknownName

CELLS = list(itertools.product(software.TARGETS, software.ENGINES, software.SERVICES))


def resolve(target: str, engine: str, service: str, sdk: str | None = None, region: str = "us-east-1") -> Software:
    return software.resolve(target=target, engine=engine, service=service, region=region, sdk=sdk)


def death(target: str, engine: str, service: str, sdk: str | None = None) -> DeadCombination:
    with pytest.raises(DeadCombination) as refusal:
        resolve(target, engine, service, sdk)
    return refusal.value


def test_sdks_are_newest_first() -> None:
    assert software.sdks()[:4] == ("2.33.1", "2.33.0", "2.32.0", "2.31.1")
    as_numbers = [tuple(map(int, sdk.split("."))) for sdk in software.sdks()]
    assert as_numbers == sorted(as_numbers, reverse=True)


def test_a_combination_has_image_versions_and_sources() -> None:
    assert resolve("inf2", "torch-neuronx", "processing", sdk="2.31.1") == Software(
        sdk="2.31.1",
        target="inf2",
        engine="torch-neuronx",
        service="processing",
        framework="PyTorch",
        framework_version="2.9.0",
        python="3.12",
        os="ubuntu-24.04",
        host_driver=None,
        image="763104351884.dkr.ecr.us-east-1.amazonaws.com/"
        "pytorch-inference-neuronx:2.9.0-neuronx-py312-sdk2.31.1-ubuntu24.04",
        image_digest=None,
        neuron_compiler_version="2.26.6360.0",
        warnings=(),
        sources=("dlc-private", "sdk-manifest"),
    )


@pytest.mark.parametrize(
    ("target", "engine", "service", "sdk"),
    [
        ("inf2", "torch-neuronx", "processing", "2.31.1"),
        ("inf2", "torch-neuronx", "ec2", "2.31.1"),
        ("inf2", "torch-neuronx", "endpoint", "2.29.1"),  # newer ones do not run on the documented host driver
        ("trn2", "torch-neuronx", "endpoint", "2.31.1"),  # none is free of the conflict, so the newest
        ("trn1", "torch-neuronx", "training", "2.30.0"),
        ("trn1n", "nxd-inference", "ec2", "2.31.1"),
        ("inf2", "vllm", "ec2", "2.31.1"),
        ("trn2", "vllm", "ec2", "2.33.0"),
        ("trn2", "vllm", "processing", "2.32.0"),
        ("inf2", "vllm", "endpoint", "2.26.1"),
        ("inf2", "optimum", "endpoint", "2.26.0"),
        ("trn1", "optimum", "processing", "2.26.0"),
        ("trn1", "neuronx-cc", "processing", "2.31.1"),
        ("trn1", "neuronx-cc", "ec2", "2.32.0"),
        ("inf2", "tensorflow-neuronx", "endpoint", "2.17.0"),
        ("trn1n", "tensorflow-neuronx", "processing", "2.17.0"),
        ("inf1", "torch-neuron", "endpoint", "2.20.2"),
        ("inf1", "torch-neuron", "processing", "2.20.2"),
        ("cpu", "onnxruntime", "endpoint", "1.32.0"),
    ],
)
def test_the_default_sdk_is_the_newest_that_all_support(target: str, engine: str, service: str, sdk: str) -> None:
    assert resolve(target, engine, service).sdk == sdk


def test_compiler_and_server_agree_on_an_sdk() -> None:
    common = software.newest_common_sdk(target="inf2", engine="torch-neuronx", services=["processing", "endpoint"])
    assert common == "2.29.1"


def test_services_without_a_common_sdk_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one_each = {"endpoint": [{"sdk": "2.26.1"}], "ec2": [{"sdk": "2.31.1"}]}
    monkeypatch.setattr(software, "_images", lambda target, engine, service: one_each[service])
    with pytest.raises(DeadCombination, match="no SDK runs vllm for target trn2 on a SageMaker endpoint and EC2 alike"):
        software.newest_common_sdk(target="trn2", engine="vllm", services=["endpoint", "ec2"])


def test_of_two_images_of_one_sdk_the_newer_framework_is_taken() -> None:
    assert resolve("trn2", "vllm", "ec2", sdk="2.31.1").framework_version == "0.21.0.1.0.0"
    assert resolve("trn1", "vllm", "ec2", sdk="2.31.1").framework_version == "0.16.0"


@pytest.mark.parametrize(
    ("region", "registry"),
    [
        ("us-east-1", "763104351884.dkr.ecr.us-east-1.amazonaws.com"),
        ("ap-southeast-4", "457447274322.dkr.ecr.ap-southeast-4.amazonaws.com"),
        ("il-central-1", "780543022126.dkr.ecr.il-central-1.amazonaws.com"),
        ("us-gov-west-1", "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("cn-northwest-1", "727897471807.dkr.ecr.cn-northwest-1.amazonaws.com.cn"),
    ],
)
def test_images_come_from_the_registry_of_region_and_partition(region: str, registry: str) -> None:
    assert resolve("inf2", "torch-neuronx", "endpoint", region=region).image.startswith(f"{registry}/pytorch-")


def test_an_image_published_in_few_regions_is_refused_elsewhere() -> None:
    with pytest.raises(DeadCombination, match="vllm-inference-neuronx in no registry of region eu-north-1"):
        resolve("inf2", "vllm", "endpoint", region="eu-north-1")


def test_a_public_image_is_the_same_everywhere() -> None:
    image = resolve("trn2", "vllm", "ec2", region="eu-north-1").image
    assert image.startswith("public.ecr.aws/neuron/pytorch-inference-vllm-neuronx:0.29.0.1.2.0-")


def test_the_cpu_image_belongs_to_the_embedded_aws() -> None:
    found = resolve("cpu", "onnxruntime", "processing")
    assert found.image == "000000000000.dkr.ecr.us-east-1.amazonaws.com/neuron-cdk-cpu:onnxruntime-1.32.0"
    assert (found.host_driver, found.neuron_compiler_version, found.warnings) == (None, None, ())


def test_the_first_inferentia_has_the_last_image_of_its_own_stack() -> None:
    found = resolve("inf1", "torch-neuron", "endpoint")
    assert found.image == (
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
        "pytorch-inference-neuron:1.13.1-neuron-py310-sdk2.20.2-ubuntu20.04"
    )
    assert (found.framework_version, found.python, found.os) == ("1.13.1", "3.10", "ubuntu-20.04")
    assert found.neuron_compiler_version == "1.24.0.0"  # neuron-cc, not the SDK's neuronx-cc
    assert (found.host_driver, found.warnings) == (None, ())
    assert resolve("inf1", "torch-neuron", "ec2").host_driver == software.host_driver("inf1")


def test_whether_the_image_of_the_first_inferentia_compiles_is_inferred() -> None:
    (warning,) = resolve("inf1", "torch-neuron", "processing").warnings
    assert warning.startswith("inferred: that torch-neuron compiles in this image")


def test_what_the_endpoint_driver_was_not_shown_to_run_is_a_warning() -> None:
    found = resolve("inf2", "torch-neuronx", "endpoint", sdk="2.29.1")
    assert found.host_driver == "2.19"
    assert found.warnings == (
        "SDK 2.29.1 was released with driver 2.27.4.0 and has not been shown to run with driver 2.19, which is on "
        "SageMaker's Neuron hosts (al2-ami-sagemaker-inference-neuron-2)",
    )


@pytest.mark.parametrize(
    ("target", "service", "sdk", "says"),
    [
        ("inf2", "endpoint", "2.31.1", "runtime 2.32 and later do not work with driver 2.26 and earlier"),
        ("trn2", "endpoint", "2.28.0", "runtime 2.24 and later need driver 2.20.28 on Trainium2"),
        ("inf2", "ec2", "2.30.0", "driver 2.29 and later need Neuron runtime 2.33"),
    ],
)
def test_a_documented_conflict_with_the_host_driver_is_a_warning(
    target: str, service: str, sdk: str, says: str
) -> None:
    (warning,) = resolve(target, "torch-neuronx", service, sdk=sdk).warnings
    assert says in warning


def test_an_unknown_training_driver_is_a_warning() -> None:
    assert "training hosts is documented nowhere" in resolve("trn1", "torch-neuronx", "training").warnings[0]


def test_what_is_inferred_says_so_for_the_chips_concerned() -> None:
    assert resolve("trn2", "optimum", "processing").warnings[0].startswith("inferred:")
    assert resolve("inf2", "optimum", "processing").warnings == ()


@pytest.mark.parametrize(
    ("target", "engine", "service", "sdk", "says", "last"),
    [
        ("inf1", "torch-neuronx", "endpoint", None, "compile for it with torch-neuron, or for inf2", None),
        ("inf2", "torch-neuron", "endpoint", None, "for the first Inferentia only; use torch-neuronx", None),
        ("cpu", "torch-neuron", "endpoint", None, "target cpu is for engine onnxruntime", None),
        ("inf1", "torch-neuron", "training", None, "the first Inferentia and torch-neuron are for inference", None),
        ("inf1", "torch-neuron", "endpoint", "2.31.1", "is the last image with torch-neuron", "2.20.2"),
        ("inf1", "onnxruntime", "endpoint", None, "ONNX Runtime compiles for target cpu only", None),
        ("inf2", "onnxruntime", "processing", None, "ONNX Runtime compiles for target cpu only", None),
        ("cpu", "torch-neuronx", "endpoint", None, "target cpu is for engine onnxruntime", None),
        ("cpu", "onnxruntime", "ec2", None, "on an endpoint or in a processing job", None),
        ("inf2", "neuronx-cc", "endpoint", None, "no image of AWS serves a bare NEFF on SageMaker", None),
        ("trn1", "neuronx-cc", "training", None, "neuronx-cc only compiles", None),
        ("trn1", "neuronx-cc", "processing", "2.32.0", "on public ECR only, and SageMaker pulls from", "2.31.1"),
        ("inf2", "torch-neuronx", "training", None, "SageMaker has no Inferentia2 training instances", None),
        ("trn1", "torch-neuronx", "training", "2.31.0", "no longer published since SDK 2.31.0", "2.30.0"),
        ("inf2", "torch-neuronx", "endpoint", "2.32.0", "no longer published since SDK 2.32.0", "2.31.1"),
        ("trn2", "torch-neuronx", "ec2", "2.33.0", "TorchNeuron is a beta for Trainium2", "2.31.1"),
        ("trn1", "nxd-inference", "training", None, "NxD Inference is for inference", None),
        ("trn1", "nxd-inference", "ec2", "2.32.0", "in no image since SDK 2.32.0", "2.31.1"),
        ("trn1", "vllm", "training", None, "vLLM is for inference", None),
        ("inf2", "vllm", "processing", None, "compile with nxd-inference or optimum", None),
        ("trn2", "vllm", "processing", "2.33.0", "lowers graphs by another route", "2.32.0"),
        ("trn2", "vllm", "processing", "2.31.1", "have their names since SDK 2.32.0", "2.32.0"),
        ("inf2", "vllm", "endpoint", "2.31.1", "have no SageMaker server", "2.26.1"),
        ("inf2", "vllm", "ec2", "2.32.0", "vLLM Neuron is for Trainium2 and later", "2.31.1"),
        ("trn2", "vllm", "ec2", "2.33.1", "no newer vLLM image is known", "2.33.0"),
        ("inf2", "optimum", "endpoint", "2.31.1", "no newer Hugging Face image", "2.26.0"),
        ("inf2", "optimum", "processing", "2.24.1", "cannot be told which chip to compile for", "2.26.0"),
        ("trn1", "optimum", "processing", "2.20.0", "on a host that has none", "2.26.0"),
        ("inf2", "optimum", "processing", "2.27.0", "no newer Hugging Face image", "2.26.0"),
        ("trn2", "tensorflow-neuronx", "ec2", None, "TensorFlow never ran on Trainium2", None),
        ("inf2", "tensorflow-neuronx", "processing", "2.18.0", "SDK 2.17.0 is the last that has an image", "2.17.0"),
        ("trn1", "tensorflow-neuronx", "training", None, "no SageMaker training image with TensorFlow", None),
        ("inf2", "tensorflow-neuronx", "endpoint", "2.29.0", "unsupported since SDK 2.29.0", "2.17.0"),
        ("inf2", "torch-neuronx", "endpoint", "2.24.0", "no image of that SDK is known; known are 2.31.1", "2.31.1"),
    ],
)
def test_a_dead_combination_says_why_and_what_worked_last(
    target: str, engine: str, service: str, sdk: str | None, says: str, last: str | None
) -> None:
    dead = death(target, engine, service, sdk)
    assert says in str(dead)
    assert str(dead).startswith(f"{engine} for target {target} does not run on {software.SERVICES[service]}")
    assert dead.last_working == last
    assert (f"; the last that worked is SDK {last}" in str(dead)) == (last is not None)


def alive(target: str, engine: str, service: str) -> bool:
    try:
        resolve(target, engine, service)
    except DeadCombination:
        return False
    return True


def test_the_living_cells_are_these() -> None:
    """The whole table at a glance; every other cell is dead, with a reason."""
    chips = ("inf2", "trn1", "trn1n", "trn2")
    served = {"endpoint", "processing", "ec2"}
    expected = {("cpu", "onnxruntime"): {"endpoint", "processing"}, ("inf1", "torch-neuron"): served}
    for chip in chips:
        training = set() if chip == "inf2" else {"training"}
        expected[chip, "torch-neuronx"] = served | training
        expected[chip, "optimum"] = served | training
        expected[chip, "nxd-inference"] = served
        expected[chip, "vllm"] = {"endpoint", "ec2"} | ({"processing"} if chip == "trn2" else set())
        expected[chip, "neuronx-cc"] = {"processing", "ec2"}
        if chip != "trn2":
            expected[chip, "tensorflow-neuronx"] = served
    living = {(target, engine, service) for target, engine, service in CELLS if alive(target, engine, service)}
    assert living == {(*cell, service) for cell, services in expected.items() for service in services}


@pytest.mark.parametrize(("target", "engine", "service"), [cell for cell in CELLS if cell[0] != "cpu" and alive(*cell)])
def test_an_sdk_newer_than_the_last_that_worked_has_a_reason(target: str, engine: str, service: str) -> None:
    assert death(target, engine, service, "2.33.1").last_working in software.sdks()


@pytest.mark.parametrize(("target", "engine", "service"), [cell for cell in CELLS if alive(*cell)])
def test_every_living_cell_names_its_sources(target: str, engine: str, service: str) -> None:
    sources = resolve(target, engine, service).sources
    assert sources
    assert set(sources) <= set(provenance.sources())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"target": "inf3"}, "no target 'inf3'; did you mean inf2?"),
        ({"engine": "torch-neuronxx"}, "no engine 'torch-neuronxx'; did you mean torch-neuronx?"),
        ({"service": "endpoints"}, "no service 'endpoints'; did you mean endpoint?"),
        ({"sdk": "2.331.1"}, "no SDK '2.331.1'; did you mean 2.33.1?"),
        ({"engine": "?"}, "no engine '?'; known: torch-neuronx, optimum"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(given: dict[str, str], says: str) -> None:
    good: dict[str, Any] = {"target": "inf2", "engine": "torch-neuronx", "service": "ec2", "region": "us-east-1"}
    with pytest.raises(UnknownName) as refusal:
        software.resolve(**{**good, **given})
    assert says in str(refusal.value)


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(regions.UnknownRegion, match="did you mean us-east-1"):
        resolve("inf2", "torch-neuronx", "ec2", region="us-eastt-1")


@pytest.mark.parametrize("target", ["inf1", "inf2", "trn1", "trn1n", "trn2"])
def test_a_fleet_gets_the_newest_base_dlami(target: str) -> None:
    assert software.ami_parameter(target) == "/aws/service/neuron/dlami/base/ubuntu-24.04/latest/image_id"


def test_another_operating_system_can_be_asked_for() -> None:
    parameter = software.ami_parameter("trn1", os="amazon-linux-2023")
    assert parameter == "/aws/service/neuron/dlami/base/amazon-linux-2023/latest/image_id"


def test_an_unknown_operating_system_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"'ubuntu-22.04'; did you mean ubuntu-24.04\?"):
        software.ami_parameter("trn1", os="ubuntu-22.04")


def test_a_target_without_dlami_is_dead() -> None:
    with pytest.raises(DeadCombination, match="no accelerator"):
        software.ami_parameter("cpu")


@pytest.mark.parametrize(
    ("target", "driver"), [("inf1", "2.24"), ("inf2", None), ("trn1", None), ("trn2", None), ("cpu", None)]
)
def test_only_the_first_inferentia_needs_another_driver_than_its_image_has(target: str, driver: str | None) -> None:
    assert software.host_driver(target) == driver


@pytest.mark.parametrize(("engine", "serves"), [("torch-neuronx", True), ("vllm", True), ("neuronx-cc", False)])
def test_an_engine_has_a_server_when_an_image_brings_one(engine: str, serves: bool) -> None:
    assert software.has_server(engine) is serves


@pytest.mark.parametrize(
    ("target", "version"),
    [
        *((target, "al2-ami-sagemaker-inference-neuron-2") for target in ("inf2", "trn1", "trn1n", "trn2")),
        ("inf1", None),
        ("cpu", None),
    ],
)
def test_an_endpoint_gets_the_neuron_host_where_there_is_one(target: str, version: str | None) -> None:
    assert software.inference_ami_version(target) == version


@pytest.mark.parametrize("target", ["inf2", "trn1", "trn2"])
@pytest.mark.parametrize("engine", software.ENGINES)
def test_compile_hosts_are_cpu_types_that_processing_jobs_accept(engine: str, target: str) -> None:
    hosts = software.compile_hosts("cpu" if engine == "onnxruntime" else target, engine)
    assert 2 <= len(hosts) <= 5
    for host in hosts:
        instance = instances.from_sagemaker(host)
        assert instance.target == "cpu"
        assert "processing" in instance.sagemaker_services
        assert regions.sagemaker_offers("us-east-1", host, "processing")


@pytest.mark.parametrize(
    ("target", "engine", "least_gib"),
    [
        ("inf2", "torch-neuronx", 64),  # 16 GiB were too little for Stable Diffusion (aws-neuron-samples#10)
        ("inf2", "optimum", 192),  # 32 GiB were too little for 7B (huggingface/optimum-neuron, pull request 551)
        ("inf2", "nxd-inference", 192),
        ("trn1", "nxd-inference", 384),
        ("trn2", "vllm", 384),
    ],
)
def test_every_host_has_the_memory_that_an_engine_needs_for_a_chip(target: str, engine: str, least_gib: int) -> None:
    hosts = software.compile_hosts(target, engine)
    assert min(instances.from_sagemaker(host).memory_gib for host in hosts) >= least_gib


def test_what_was_inferred_of_an_engine_is_said_of_it_alone() -> None:
    assert (
        resolve("inf2", "nxd-inference", "processing").warnings[0].startswith("inferred: that NxD Inference compiles")
    )
    assert resolve("inf2", "torch-neuronx", "processing").warnings == ()
