"""Engine ``nxd-inference``, up to ``inference_demo``: the stand-in takes what Neuron documents (SDK 2.31.1), no more.

https://awsdocs-neuron.readthedocs-hosted.com/en/v2.31.1/libraries/nxd-inference/: tutorials and the sharding guide.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from neuron_jobs import memory


@pytest.fixture
def llama(llama: Any) -> Any:
    """A job for a language model over two cores, with two buckets."""
    llama.request["model"] |= {
        "engine": "nxd-inference",
        "target": "inf2",
        "sdk": "2.31.1",
        "batch_sizes": [2],
        "sequence_lengths": [16, 8],
        "tensor_parallel": 2,
    }
    (llama.source / "generation_config.json").write_text("{}")
    return llama


def options(job: Any) -> str:
    """The words of the command that decide what is made."""
    return " ".join(job.manifest["command"][10:-4])


class TestCommand:
    def test_a_model_is_compiled_and_sharded_with_the_documented_command(self, llama: Any, stand_ins: str) -> None:
        assert llama.run(path=stand_ins) == 0, llama.printed
        words = llama.manifest["command"]
        assert words[:6] == ["inference_demo", "--model-type", "llama", "--task-type", "causal-lm", "run"]
        assert options(llama) == (
            "--torch-dtype bfloat16 --tp-degree 2 --batch-size 2 --seq-len 16 --max-context-length 16 "
            "--enable-bucketing --context-encoding-buckets 8 16 --token-generation-buckets 8 16 --logical-nc-config 1"
        )
        assert words[-4:] == ["--save-sharded-checkpoint", "--compile-only", "--prompt", "unused"]

    def test_trn2_has_logical_cores_of_two(self, llama: Any, stand_ins: str) -> None:
        llama.request["model"] |= {"target": "trn2", "sequence_lengths": [16]}
        assert llama.run(path=stand_ins) == 0, llama.printed
        assert options(llama).endswith("--seq-len 16 --max-context-length 16 --logical-nc-config 2")

    def test_options_of_ones_own_are_added(self, llama: Any, stand_ins: str) -> None:
        llama.request["model"] |= {
            "sequence_lengths": [16],
            "compiler_args": ["--on-device-sampling", "--max-context-length=8"],
        }
        assert llama.run(path=stand_ins) == 0, llama.printed
        assert options(llama).endswith("16 --logical-nc-config 1 --on-device-sampling --max-context-length=8")

    def test_variables_of_the_image_change_nothing(self, llama: Any, stand_ins: str) -> None:
        given = {"NEURON_CC_FLAGS": "-O1", "NEURON_LOGICAL_NC_CONFIG": "2"}
        assert llama.run(path=stand_ins, **given) == 0, llama.printed


class TestArtifact:
    def test_it_names_compiler_program_and_limits(self, llama: Any, stand_ins: str) -> None:
        llama.run(path=stand_ins)
        manifest = llama.manifest
        assert manifest["compiler"] == {
            "name": "neuronx-distributed-inference",
            "version": "0.10.18399+ed62453e",
        }
        assert manifest["programs"] == [{"file": "model.pt", "batch_size": 2, "sequence_length": 16}]

    def test_it_is_all_that_the_container_needs(self, llama: Any, stand_ins: str) -> None:
        llama.run(path=stand_ins)
        assert {entry["path"] for entry in llama.manifest["files"]} == {
            "model.pt",
            "neuron_config.json",
            "weights/tp0_sharded_checkpoint.safetensors",
            "weights/tp1_sharded_checkpoint.safetensors",
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "code/inference.py",
            "code/artifact_files.py",
            "code/settings.json",
            "compile.log",
        }


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"target": "inf1"}, "nxd-inference compiles for inf2, trn1, trn1n, trn2, not for 'inf1'"),
            ({"task": "fill-mask"}, "nxd-inference compiles models for text-generation, not for 'fill-mask'"),
            ({"dtype": "fp8"}, "dtype 'fp8' is not one of fp32, bf16, fp16"),
            ({"batch_sizes": [1, 2]}, "takes one of batch_sizes, and sequence_lengths for its buckets"),
            ({"sequence_lengths": []}, "takes one of batch_sizes, and sequence_lengths for its buckets"),
            ({"compiler_args": ["--draft-model-path=/x"]}, "not --draft-model-path=/x"),
            ({"compiler_args": ["--fused-qkv=1"]}, "not --fused-qkv=1"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
    )
    def test_what_it_does_not_do(self, llama: Any, stand_ins: str, changed: dict[str, Any], message: str) -> None:
        llama.request["model"] |= changed
        assert llama.run(path=stand_ins) == 1
        assert message in llama.message.read_text()

    def test_a_model_it_does_not_know(self, llama: Any, stand_ins: str) -> None:
        (llama.source / "config.json").write_text('{"model_type": "bloom"}')
        assert llama.run(path=stand_ins) == 1
        assert "NxD Inference 0.10.18399+ed62453e has no causal-lm for model_type 'bloom'" in llama.message.read_text()

    def test_weights_that_can_run_code(self, llama: Any, stand_ins: str) -> None:
        (llama.source / "model.safetensors").rename(llama.source / "pytorch_model.bin")
        assert llama.run(path=stand_ins) == 1
        assert "needs its weights as safetensors" in llama.message.read_text()

    def test_a_compile_without_weights(self, llama: Any, stand_ins: str) -> None:
        assert llama.run(path=stand_ins, INFERENCE_DEMO_ENDS="silent") == 1
        message = "error: inference_demo ended well but wrote no weights/tp0_sharded_checkpoint.safetensors"
        assert llama.message.read_text().splitlines()[-1] == message

    def test_a_compile_that_is_killed(self, llama: Any, stand_ins: str) -> None:
        assert llama.run(path=stand_ins, INFERENCE_DEMO_ENDS="killed") == 1
        message = "error: inference_demo was killed (signal 9), most likely for want of memory"
        assert llama.message.read_text().splitlines()[-2:] == [message, memory.TOO_LITTLE]


class TestServing:
    """``code/inference.py`` of an artifact, called as the serving container's toolkit calls it."""

    @pytest.fixture
    def script(self, llama: Any, inference_script: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
        monkeypatch.syspath_prepend(str(llama.output / "code"))  # as the toolkit does
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "NEURON_RT_NUM_CORES"):
            monkeypatch.setenv(name, "0")  # so that what the script sets is taken back
            monkeypatch.delenv(name)
        yield inference_script(llama)
        ours = ("torch", "transformers", "artifact_files", "sagemaker_inference", "neuronx_distributed_inference")
        for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
            sys.modules.pop(name)

    @pytest.fixture
    def model(self, script: ModuleType, llama: Any) -> Any:
        return script.model_fn(str(llama.output))

    @pytest.fixture
    def ask(self, script: ModuleType, model: Any) -> Any:
        def call(document: object, content_type: str = "application/json") -> Any:
            data = script.input_fn(json.dumps(document), content_type)
            body, kind = script.output_fn(script.predict_fn(data, model), "*/*")
            assert kind == "application/json"
            return json.loads(body)["outputs"]["generated_text"]

        return call

    def test_a_text_is_answered_without_the_prompt(self, ask: Any) -> None:
        assert ask({"inputs": "once upon", "parameters": {"max_new_tokens": 3}}) == ["4 4 4"]

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_texts_are_answered_a_compiled_batch_at_a_time(self, ask: Any, count: int) -> None:
        texts = ["a" * (row + 1) for row in range(count)]
        answers = ask({"inputs": texts, "parameters": {"max_new_tokens": 1}})
        assert answers == [str(row + 1) for row in range(count)]

    def test_an_answer_is_no_longer_than_was_compiled(self, ask: Any) -> None:
        (answer,) = ask({"inputs": "one two", "parameters": {"max_new_tokens": 1000}})
        assert len(answer.split()) == 16 - 2

    def test_sampling_is_each_requests_own(self, ask: Any, model: Any) -> None:
        ask({"inputs": "a", "parameters": {"do_sample": True, "temperature": 0.5}})
        ask({"inputs": "a", "parameters": {"top_k": 3}})
        assert model.adapter.options == {"top_k": 3}

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"inputs": []}, '"inputs" must be a text'),
            ({"inputs": [1]}, '"inputs" must be a text'),
            (["a"], '"inputs" must be a text'),
            ({"inputs": "a", "parameters": {"beams": 2}}, '"parameters" may have max_new_tokens'),
            ({"inputs": "a", "parameters": {"max_new_tokens": True}}, "max_new_tokens must be of type int"),
            ({"inputs": "a", "parameters": {"max_new_tokens": 0}}, "max_new_tokens must be 1 or more"),
            ({"inputs": "word " * 16}, "16 tokens leave no room for an answer: the model is compiled for 16"),
        ],
    )
    def test_what_cannot_be_answered_is_the_clients_error(self, ask: Any, document: object, message: str) -> None:
        refusal = importlib.import_module("sagemaker_inference.errors").BaseInferenceToolkitError
        with pytest.raises(refusal) as raised:
            ask(document)
        assert raised.value.status_code == 400
        assert message in raised.value.message

    def test_a_worker_takes_the_cores_of_a_copy(self, model: Any) -> None:
        assert os.environ["NEURON_RT_NUM_CORES"] == "2"

    def test_a_corrupt_file_is_never_loaded(self, script: ModuleType, llama: Any) -> None:
        (llama.output / "weights" / "tp1_sharded_checkpoint.safetensors").write_bytes(b"others")
        with pytest.raises(ValueError, match=r"corrupt: weights/tp1_sharded_checkpoint\.safetensors"):
            script.model_fn(str(llama.output))
