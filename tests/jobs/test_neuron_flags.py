"""The flags given to neuronx-cc, against what Neuron documents for each target and SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.catalog import software
from neuron_jobs.engines.neuron_flags import TARGETS, flags
from neuron_jobs.errors import JobError
from neuron_jobs.request import CompileRequest

# The flags of "Neuron Compiler CLI Reference Guide (neuronx-cc)", by the SDK since which the page of that release
# (…/en/v<sdk>/compiler/neuronx-cc/api-reference-guide/) has them; the pages of v2.22.0 to v2.32.0 were compared. Values
# are those of the page; "Only available on trn2" stands with the last two and --logical-nc-config.
PAGE: dict[str, tuple[tuple[int, int], tuple[str, ...], tuple[str, ...]]] = {
    "--model-type": ((2, 22), ("generic", "transformer", "unet-inference"), ()),
    "--auto-cast": ((2, 22), ("none", "matmult", "all"), ()),
    "--auto-cast-type": ((2, 22), ("bf16", "fp16", "tf32", "fp8_e4m3"), ()),
    "--enable-mixed-precision-accumulation": ((2, 22), (), ()),
    "--optlevel": ((2, 22), ("1", "2", "3"), ()),
    "--logical-nc-config": ((2, 22), ("1", "2"), ("trn2",)),
    "--implicit-integer-downcast": ((2, 32), ("default", "all", "none"), ()),
    "--native-int64": ((2, 32), ("default", "enabled", "disabled"), ("trn2",)),
}
SDKS = ("2.23.0", "2.24.1", "2.25.0", "2.26.1", "2.27.1", "2.28.0", "2.29.1", "2.30.0", "2.31.1", "2.32.0")


def request(**changed: Any) -> CompileRequest:
    given: dict[str, Any] = {
        "artifact_key": "ab" * 32,
        "attempt": "a1",
        "name": "minilm",
        "source_kind": "s3",
        "task": "feature-extraction",
        "engine": "neuronx-cc",
        "target": "inf2",
        "sdk": "2.31.1",
        "dtype": "bf16",
        "batch_sizes": (1,),
        "sequence_lengths": (),
        "tensor_parallel": 1,
        "compiler_args": (),
    }
    return CompileRequest(**{**given, **changed})


def test_every_default_that_moves_is_pinned() -> None:
    assert " ".join(flags(request())) == (
        "--model-type transformer --auto-cast matmult --auto-cast-type bf16 "
        "--enable-mixed-precision-accumulation --optlevel 2"
    )


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16", "fp8"])
def test_every_flag_is_on_the_page_of_its_sdk(sdk: str, target: str, dtype: str) -> None:
    words = flags(request(sdk=sdk, target=target, dtype=dtype))
    while words:
        name = words.pop(0)
        since, values, only = PAGE[name]
        assert tuple(int(part) for part in sdk.split(".")[:2]) >= since, name
        assert not only or target in only, name
        if values:
            assert words.pop(0) in values, name


def test_the_sdks_are_all_that_the_catalogue_compiles_with() -> None:
    known = {
        image["sdk"]
        for image in json.loads((Path(software.__file__).parent / "data" / "software.json").read_text())["images"]
        if "processing" in {*image["serves"].get("torch-neuronx", ()), *image["serves"].get("neuronx-cc", ())}
    }
    releases = {sdk.rpartition(".")[0] for sdk in SDKS}
    assert {sdk.rpartition(".")[0] for sdk in known} <= releases


def test_fp32_is_left_as_it_is() -> None:
    words = flags(request(dtype="fp32"))
    assert words[words.index("--auto-cast") + 1] == "none"
    assert "--auto-cast-type" not in words


@pytest.mark.parametrize(("dtype", "kind"), [("bf16", "bf16"), ("fp16", "fp16"), ("fp8", "fp8_e4m3")])
def test_a_dtype_is_what_matrix_products_are_cast_to(dtype: str, kind: str) -> None:
    words = flags(request(dtype=dtype))
    assert words[words.index("--auto-cast-type") + 1] == kind


def test_a_task_of_another_kind_gets_no_transformer_optimizations() -> None:
    words = flags(request(task="speech-recognition"))
    assert words[words.index("--model-type") + 1] == "generic"


def test_trn2_shards_over_two_physical_cores() -> None:
    words = flags(request(target="trn2"))
    assert words[words.index("--logical-nc-config") + 1] == "2"


@pytest.mark.parametrize(
    ("target", "sdk", "expected"),
    [
        ("trn2", "2.31.1", []),
        ("inf2", "2.32.0", ["--implicit-integer-downcast", "all"]),
        ("trn2", "2.32.0", ["--implicit-integer-downcast", "all", "--native-int64", "disabled"]),
        ("trn2", "2.33.1", ["--implicit-integer-downcast", "all", "--native-int64", "disabled"]),
    ],
)
def test_integers_stay_as_they_are_where_the_default_flips(target: str, sdk: str, expected: list[str]) -> None:
    # The flags came with 2.32.0, and only trn2 has 64-bit integers.
    words = flags(request(target=target, sdk=sdk))
    first = words.index("--implicit-integer-downcast") if "--implicit-integer-downcast" in words else len(words)
    assert words[first:] == expected


@pytest.mark.parametrize(
    ("given", "replaced"),
    [
        (("-O1",), "--optlevel"),
        (("--optlevel", "3"), "--optlevel"),
        (("--optlevel=3",), "--optlevel"),
        (("--auto-cast", "all"), "--auto-cast"),
        (("--model-type=unet-inference",), "--model-type"),
        (("--disable-mixed-precision-accumulation",), "--enable-mixed-precision-accumulation"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_the_model_asks_for_replaces_what_is_pinned(given: tuple[str, ...], replaced: str) -> None:
    words = flags(request(compiler_args=given))
    assert words[-len(given) :] == list(given)
    assert replaced not in words[: -len(given)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target": "inf1"}, "compiles for inf2, trn1, trn1n, trn2, not for 'inf1'"),
        ({"dtype": "int8"}, "dtype 'int8' is not one of"),
        ({"tensor_parallel": 8}, "compiles for one core: tensor_parallel is 8"),
        ({"compiler_args": ("--target=trn1",)}, "may not give --target"),
        ({"compiler_args": ("--output", "/tmp/x")}, "may not give --output"),
        ({"sdk": "newest"}, "'newest' is not a Neuron SDK version"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_compiler_cannot_be_asked_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        flags(request(**changed))
