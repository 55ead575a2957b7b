"""Engine ``optimum``, up to Hugging Face's exporter: the stand-in takes what version 0.4.1 documents and nothing else.

https://huggingface.co/docs/optimum-neuron/v0.4.1/guides/export_model; the real exporter runs in AWS's image only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def encoder(job: Any) -> Any:
    """A job for a model of embeddings."""
    job.request["model"] |= {
        "name": "minilm",
        "engine": "optimum",
        "target": "inf2",
        "sdk": "2.26.0",
        "dtype": "bf16",
        "batch_sizes": [4],
        "sequence_lengths": [128],
        "task": "feature-extraction",
    }
    (job.source / "config.json").write_text('{"model_type": "bert", "torch_dtype": "float32"}')
    (job.source / "model.safetensors").write_bytes(b"weights")
    (job.source / "tokenizer.json").write_text("{}")
    return job


@pytest.fixture
def generator(encoder: Any) -> Any:
    """A job for a language model over two cores."""
    encoder.request["model"] |= {"task": "text-generation", "target": "trn1", "tensor_parallel": 2}
    (encoder.source / "config.json").write_text('{"model_type": "llama", "torch_dtype": "bfloat16"}')
    return encoder


def options(job: Any) -> str:
    """The words of the command that decide what is made."""
    return " ".join(job.manifest["command"][5:-5])


class TestCommand:
    def test_an_encoder_is_exported_with_the_documented_command(self, encoder: Any, stand_ins: str) -> None:
        assert encoder.run(path=stand_ins) == 0, encoder.printed
        words = encoder.manifest["command"]
        assert words[:4] == ["optimum-cli", "export", "neuron", "--model"]
        assert options(encoder) == (
            "--task feature-extraction --instance_type inf2 --batch_size 4 --sequence_length 128 "
            "--tensor_parallel_size 1 --auto_cast matmul --auto_cast_type bf16 -O2"
        )
        assert Path(words[-1]) == encoder.output

    def test_a_language_model_is_spread_over_cores(self, generator: Any, stand_ins: str) -> None:
        assert generator.run(path=stand_ins) == 0, generator.printed
        assert "--task text-generation --instance_type trn1" in options(generator)
        assert "--tensor_parallel_size 2" in options(generator)
        paths = {entry["path"] for entry in generator.manifest["files"]}
        assert "checkpoint/weights/tp1_sharded_checkpoint.safetensors" in paths

    @pytest.mark.parametrize(
        ("dtype", "cast"),
        [
            ("fp32", "--auto_cast none"),
            ("bf16", "--auto_cast matmul --auto_cast_type bf16"),
            ("fp16", "--auto_cast matmul --auto_cast_type fp16"),
        ],
    )
    def test_the_dtype_is_the_cast(self, encoder: Any, stand_ins: str, dtype: str, cast: str) -> None:
        encoder.request["model"]["dtype"] = dtype
        assert encoder.run(path=stand_ins) == 0, encoder.printed
        assert options(encoder).endswith(f"{cast} -O2")

    def test_a_level_of_ones_own_replaces_ours(self, encoder: Any, stand_ins: str) -> None:
        encoder.request["model"]["compiler_args"] = ["-O3", "--output_hidden_states"]
        assert encoder.run(path=stand_ins) == 0, encoder.printed
        assert options(encoder).endswith("bf16 -O3 --output_hidden_states")

    def test_flags_of_the_image_change_nothing(self, encoder: Any, stand_ins: str) -> None:
        given = {"NEURON_CC_FLAGS": "--optlevel 1", "NEURON_COMPILE_CACHE_URL": "s3://elsewhere/"}
        assert encoder.run(path=stand_ins, **given) == 0, encoder.printed


class TestArtifact:
    def test_it_names_exporter_program_and_shape(self, encoder: Any, stand_ins: str) -> None:
        encoder.run(path=stand_ins)
        manifest = encoder.manifest
        assert manifest["compiler"] == {"name": "optimum-neuron", "version": "0.4.1"}
        assert manifest["programs"] == [{"file": "model.neuron", "batch_size": 4, "sequence_length": 128}]

    def test_it_is_the_folder_that_the_container_serves(self, encoder: Any, stand_ins: str) -> None:
        encoder.run(path=stand_ins)
        paths = {entry["path"] for entry in encoder.manifest["files"]}
        code = {"code/inference.py", "code/artifact_files.py", "code/settings.json"}
        assert paths == {"model.neuron", "config.json", "tokenizer.json", "compile.log", *code}

    def test_nothing_of_the_work_is_left(self, encoder: Any, stand_ins: str) -> None:
        encoder.run(path=stand_ins)
        assert sorted(path.name for path in encoder.output.parent.iterdir()) == ["input", "output"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"target": "inf1"}, "optimum compiles for inf2, trn1, trn1n, trn2, not for 'inf1'"),
            ({"task": "image-to-video"}, "task 'image-to-video' is not one that engine optimum compiles"),
            ({"dtype": "fp8"}, "dtype 'fp8' is not one of fp32, bf16, fp16"),
            ({"batch_sizes": [1, 4]}, "optimum compiles one static shape"),
            ({"sequence_lengths": []}, "optimum compiles one static shape"),
            ({"tensor_parallel": 2}, "optimum spreads only a model for text-generation over 2 cores"),
            ({"compiler_args": ["--trust-remote-code"]}, "not --trust-remote-code"),
            ({"compiler_args": ["--model=other"]}, "not --model=other"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
    )
    def test_what_the_exporter_does_not_do(
        self, encoder: Any, stand_ins: str, changed: dict[str, Any], message: str
    ) -> None:
        encoder.request["model"] |= changed
        assert encoder.run(path=stand_ins) == 1
        assert message in encoder.message.read_text()

    def test_a_language_model_of_another_type(self, generator: Any, stand_ins: str) -> None:
        generator.request["model"]["dtype"] = "fp16"
        assert generator.run(path=stand_ins) == 1
        assert "which is 'bfloat16'; dtype 'fp16' would need 'float16'" in generator.message.read_text()

    def test_weights_that_can_run_code(self, encoder: Any, stand_ins: str) -> None:
        (encoder.source / "model.safetensors").rename(encoder.source / "pytorch_model.bin")
        assert encoder.run(path=stand_ins) == 1
        assert "needs its weights as safetensors" in encoder.message.read_text()

    def test_a_folder_of_something_else(self, encoder: Any, stand_ins: str) -> None:
        (encoder.source / "config.json").unlink()
        assert encoder.run(path=stand_ins) == 1
        assert "takes a Hugging Face folder" in encoder.message.read_text()

    @pytest.mark.parametrize(
        ("ends", "message"),
        [
            ("fail", "error: optimum-cli ended with status 1; what it said is above"),
            ("silent", "error: optimum-cli ended well but wrote no model.neuron"),
        ],
    )
    def test_an_exporter_that_fails(self, encoder: Any, stand_ins: str, ends: str, message: str) -> None:
        assert encoder.run(path=stand_ins, OPTIMUM_ENDS=ends) == 1
        assert encoder.message.read_text().splitlines()[-1] == message

    def test_another_image(self, encoder: Any) -> None:
        assert encoder.run() == 1
        assert "there is no optimum-cli on PATH" in encoder.message.read_text()


class TestServing:
    """``code/inference.py`` of an artifact, called as the container's toolkit calls it."""

    @pytest.fixture
    def load(self, inference_script: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        def script_of(job: Any) -> ModuleType:
            monkeypatch.syspath_prepend(str(job.output / "code"))  # as the toolkit does
            return inference_script(job)

        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "NEURON_RT_NUM_CORES"):
            monkeypatch.setenv(name, "0")  # so that what the script sets is taken back
            monkeypatch.delenv(name)
        yield script_of
        for name in ("artifact_files", "optimum", "optimum.neuron", "optimum.neuron.pipelines"):
            sys.modules.pop(name, None)

    def test_the_pipeline_of_the_task_answers(self, load: Any, encoder: Any) -> None:
        model = load(encoder).model_fn(str(encoder.output))
        assert model("a text", padding=True) == ["feature-extraction", "a text", {"padding": True}]
        assert os.environ["NEURON_RT_NUM_CORES"] == "1"

    def test_a_language_model_has_its_cores(self, load: Any, generator: Any) -> None:
        model = load(generator).model_fn(str(generator.output), None)
        assert model("once")[0] == "text-generation"
        assert os.environ["NEURON_RT_NUM_CORES"] == "2"

    def test_a_corrupt_file_is_never_loaded(self, load: Any, encoder: Any) -> None:
        script = load(encoder)
        (encoder.output / "model.neuron").write_bytes(b"another")
        with pytest.raises(ValueError, match=r"corrupt: model\.neuron is not what the manifest lists"):
            script.model_fn(str(encoder.output))

    def test_what_is_not_compiled_is_not_compiled_here(self, load: Any, generator: Any) -> None:
        script = load(generator)
        manifest = generator.manifest
        manifest["files"] = [entry for entry in manifest["files"] if entry["path"].startswith("code/")]
        (generator.output / "manifest.json").write_text(json.dumps(manifest))
        (generator.output / "neuron_config.json").unlink()
        with pytest.raises(ValueError, match="must be exported"):
            script.model_fn(str(generator.output))
