"""The engines of the jobs are those of the catalogue, and what the file allows them is what they take."""

from __future__ import annotations

from typing import Any

import pytest

from neuron_cdk.catalog import software
from neuron_cdk.spec.checks import engines as limits
from neuron_jobs import engines
from neuron_jobs.engines import neuron_cc_flags, neuron_flags, nxd_export, optimum_export, tf_trace, vllm_cache
from neuron_jobs.errors import JobError
from neuron_jobs.request import CompileRequest


def compiles(engine: str, target: str) -> bool:
    try:
        software.resolve(target=target, engine=engine, service="processing", region="us-east-1")
    except software.DeadCombination:
        return False
    return True


@pytest.mark.parametrize("engine", software.ENGINES)
def test_an_engine_that_the_catalogue_compiles_with_has_its_module(engine: str) -> None:
    if any(compiles(engine, target) for target in software.TARGETS):
        assert callable(engines.find(engine))
    else:
        with pytest.raises(JobError, match="is not one of"):
            engines.find(engine)


CASES: dict[str, tuple[Any, str]] = {
    "torch-neuronx": (neuron_flags.flags, "feature-extraction"),
    "torch-neuron": (neuron_cc_flags.flags, "feature-extraction"),
    "neuronx-cc": (neuron_flags.flags, "feature-extraction"),
    "optimum": (optimum_export.flags, "feature-extraction"),
    "nxd-inference": (nxd_export.flags, "text-generation"),
    "vllm": (vllm_cache.arguments, "text-generation"),
    "tensorflow-neuronx": (tf_trace.flags, "image-classification"),
}


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "fp8"])
@pytest.mark.parametrize("target", ["inf1", "inf2", "trn1", "trn1n", "trn2"])
@pytest.mark.parametrize("engine", CASES)
def test_the_file_allows_a_precision_and_a_chip_just_where_the_job_takes_them(
    engine: str, target: str, dtype: str
) -> None:
    flags, task = CASES[engine]
    request = _request(engine=engine, target=target, dtype=dtype, task=task)
    allowed = dtype in limits.LIMITS[engine].dtypes and compiles(engine, target)
    if allowed:
        assert flags(request)
    else:
        with pytest.raises(JobError):
            flags(request)


@pytest.mark.parametrize("module", [optimum_export, nxd_export, vllm_cache, tf_trace])
def test_the_file_and_the_job_know_the_same_arguments(module: Any) -> None:
    engine = {
        optimum_export: "optimum",
        nxd_export: "nxd-inference",
        vllm_cache: "vllm",
        tf_trace: "tensorflow-neuronx",
    }[module]
    assert limits.LIMITS[engine].arguments == module.OPTIONS


def _request(**given: Any) -> CompileRequest:
    sdk = {"torch-neuron": "2.20.2", "optimum": "2.26.0", "vllm": "2.32.0", "tensorflow-neuronx": "2.17.0"}.get(
        given["engine"], "2.31.1"
    )
    values: dict[str, Any] = {
        **dict.fromkeys(CompileRequest.__dataclass_fields__, ""),
        "sdk": sdk,
        "batch_sizes": (1,),
        "sequence_lengths": (128,),
        "tensor_parallel": 1,
        "compiler_args": (),
    }
    return CompileRequest(**{**values, **given})
