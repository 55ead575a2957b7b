"""A compiled model as a resource: what CloudFormation is asked, which SDK and hosts, what is refused."""

from __future__ import annotations

import json

import boto3
import pytest
from aws_cdk import App, Stack

from neuron_cdk import CompiledModel, spec
from neuron_cdk.catalog import prices, regions, software


@pytest.fixture(scope="session")
def asked(only):
    """What the pipeline is asked for."""
    return lambda name: only(name, "Custom::NeuronCompiledModel")["Model"]


def test_cloudformation_waits_its_longest_for_a_compile(only):
    assert only("inf2-endpoint", "Custom::NeuronCompiledModel")["ServiceTimeout"] == "3600"


def test_the_request_says_everything_that_decides_what_the_compiler_makes(asked):
    request = dict(asked("inf2-endpoint"))
    del request["Sdk"], request["Image"], request["ImageDigest"], request["Hosts"]  # by the catalogue: see below
    assert request == {
        "Name": "minilm",
        "Source": {"Kind": "s3", "Bucket": "models", "Prefix": "minilm/", "Include": []},
        "Task": "feature-extraction",
        "Engine": "torch-neuronx",
        "Target": "inf2",
        "Dtype": "fp32",
        "BatchSizes": [1, 4],
        "SequenceLengths": [],
        "TensorParallel": 1,
        "CompilerArgs": [],
        "TimeoutMinutes": 120,
        "VolumeSizeGb": 100,
        "Splits": True,
    }


def test_shapes_are_compiled_apart_where_each_has_a_program_of_its_own(asked):
    assert asked("cpu-endpoint")["Splits"] is True
    apart = set(software.ONE_PROGRAM_A_SHAPE)
    assert apart < set(software.ENGINES)
    assert not {"neuronx-cc", "vllm", "nxd-inference", "optimum", "tensorflow-neuronx"} & apart


def test_without_an_sdk_it_is_the_newest_that_compiles_and_serves(asked):
    newest = software.newest_common_sdk(target="inf2", engine="torch-neuronx", services=["processing", "endpoint"])
    assert asked("inf2-endpoint")["Sdk"] == newest
    assert f"sdk{newest}-" in asked("inf2-endpoint")["Image"]


def test_the_image_is_the_regions_own(asked):
    assert asked("inf2-endpoint")["Image"].startswith("763104351884.dkr.ecr.us-east-1.amazonaws.com/")


def test_hosts_are_cpu_types_sagemaker_runs_jobs_on(asked):
    known = boto3.client("sagemaker", region_name="us-east-1").meta.service_model.shape_for("ProcessingInstanceType")
    for name in ("inf2-endpoint", "trn1-endpoint", "cpu-endpoint"):
        hosts = asked(name)["Hosts"]
        assert hosts
        assert {host["Type"] for host in hosts} <= set(known.enum)


def test_hosts_have_the_price_the_catalogue_has_or_none(monkeypatch, platform, compiled, a_model):
    first, second, *_ = software.compile_hosts("inf2", "torch-neuronx")
    priced = prices.Price(0.922, "2026-09-27", "sagemaker-prices")
    monkeypatch.setattr(prices, "processing_hourly", lambda _region, host: priced if host == first else None)
    compiled(a_model("inf2"))
    assert model_of(platform)["Hosts"][:2] == [
        {"Type": first, "UsdPerHour": "0.922"},
        {"Type": second, "UsdPerHour": ""},
    ]


def test_a_compile_in_us_east_1_has_a_price_whichever_host_it_gets(asked):
    for name in ("cpu-endpoint", "inf2-endpoint", "trn1-endpoint"):
        assert [host["Type"] for host in asked(name)["Hosts"] if not host["UsdPerHour"]] == []


@pytest.fixture
def compiled(platform):
    """``compiled(model)`` in ``platform``: the properties CloudFormation would get, unresolved."""

    def make(model: spec.Model, name: str = "minilm") -> CompiledModel:
        return CompiledModel(platform.stack, f"Model-{name}", pipeline=platform.pipeline, name=name, model=model)

    return make


def test_a_host_the_region_lacks_is_left_out(monkeypatch, platform, compiled, a_model):
    first, *others = software.compile_hosts("inf2", "torch-neuronx")
    monkeypatch.setattr(regions, "sagemaker_offers", lambda _region, host, _service: host != first)
    compiled(a_model("inf2"))
    assert [host["Type"] for host in model_of(platform)["Hosts"]] == others


def model_of(platform) -> dict:
    (resource,) = (
        resource
        for resource in template_of(platform)["Resources"].values()
        if resource["Type"] == "Custom::NeuronCompiledModel"
    )
    properties: dict = resource["Properties"]["Model"]
    return properties


def template_of(platform) -> dict:
    return App.of(platform.stack).synth().get_stack_by_name("Platform").template


def test_the_pipeline_may_read_the_models_prefix_and_nothing_beside_it(platform, compiled, a_model):
    compiled(a_model("inf2"))
    resources = template_of(platform)["Resources"]
    (job,) = (each["Properties"] for key, each in resources.items() if key.startswith("PipelineJobRoleDefaultPolicy"))
    (begin,) = (each["Properties"] for key, each in resources.items() if key.startswith("PipelineBeginRole"))
    for policy in map(json.dumps, (job["PolicyDocument"], begin["Policies"])):
        assert ':s3:::models/minilm/*"' in policy
        assert '"s3:prefix": "minilm/*"' in policy
        assert ":s3:::models/*" not in policy


def test_a_folder_is_sent_as_it_is_and_read_as_one_object(tmp_path, platform, compiled, a_model):
    folder = tmp_path / "minilm"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"weights")
    model = a_model("inf2").model_copy(update={"source": spec.PathSource(path=str(folder))})
    compiled(model)
    source = model_of(platform)["Source"]
    assert source["Kind"] == "asset"
    assert source["Key"].endswith(".zip")


# -- refusals ------------------------------------------------------------------------------------------------------


def test_a_stack_without_a_region_is_refused(platform, a_model):
    nowhere = Stack(App.of(platform.stack), "Nowhere")
    with pytest.raises(ValueError, match="'minilm': give the stack a region"):
        CompiledModel(nowhere, "Model", pipeline=platform.pipeline, name="minilm", model=a_model("inf2"))


def test_an_sdk_nobody_knows_is_refused(compiled, a_model):
    with pytest.raises(software.UnknownName, match=r"no SDK '1\.0\.0'"):
        compiled(a_model("inf2", sdk="1.0.0"))
