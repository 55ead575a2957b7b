"""The flags given to neuron-cc, the compiler of the first Inferentia, against what Neuron documents."""

from __future__ import annotations

from typing import Any

import pytest

from neuron_jobs.engines.neuron_cc_flags import flags
from neuron_jobs.errors import JobError
from neuron_jobs.request import CompileRequest


def request(**changed: Any) -> CompileRequest:
    given: dict[str, Any] = {
        "artifact_key": "ab" * 32,
        "attempt": "a1",
        "name": "vision",
        "source_kind": "s3",
        "task": "image-classification",
        "engine": "torch-neuron",
        "target": "inf1",
        "sdk": "2.20.2",
        "dtype": "bf16",
        "batch_sizes": (1,),
        "sequence_lengths": (),
        "tensor_parallel": 1,
        "compiler_args": (),
    }
    return CompileRequest(**{**given, **changed})


@pytest.mark.parametrize(
    ("dtype", "cast"),
    [("fp32", "none"), ("bf16", "fp32-cast-matmult-bf16"), ("fp16", "fp32-cast-matmult-fp16")],
)
def test_a_dtype_is_what_matrix_products_are_cast_to(dtype: str, cast: str) -> None:
    assert flags(request(dtype=dtype)) == ["--fast-math", cast]


@pytest.mark.parametrize(
    "given", [("--fast-math", "all"), ("--fast-math=all",), ("--fp32-cast", "all-fp16")], ids=" ".join
)
def test_what_the_model_asks_for_replaces_what_is_pinned(given: tuple[str, ...]) -> None:
    assert flags(request(compiler_args=given)) == list(given)


def test_other_arguments_come_last() -> None:
    given = ("--enable-saturate-infinity",)
    assert flags(request(dtype="fp32", compiler_args=given)) == ["--fast-math", "none", *given]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target": "trn1"}, "neuron-cc compiles for inf1, not for 'trn1'"),
        ({"dtype": "fp8"}, "dtype 'fp8' is not one of fp32, bf16, fp16"),
        ({"tensor_parallel": 4}, "compiles for one core: tensor_parallel is 4"),
        ({"compiler_args": ("--neuroncore-pipeline-cores", "4")}, "may not give --neuroncore-pipeline-cores"),
        ({"compiler_args": ("--io-config={}",)}, "may not give --io-config"),
        ({"compiler_args": ("--output", "/tmp/x")}, "may not give --output"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_compiler_cannot_be_asked_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        flags(request(**changed))
