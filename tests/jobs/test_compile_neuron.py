"""The Neuron engines, up to the compiler: stand-ins take what Neuron documents and nothing else.

The real compiler runs on AWS only. Shown here: the command, the calls and the artifact are as documented.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from neuron_jobs import memory


@pytest.fixture
def hlo(job: Any) -> Any:
    """A job for engine neuronx-cc with one HLO module."""
    job.request["model"] |= {
        "name": "whisper",
        "engine": "neuronx-cc",
        "target": "trn2",
        "sdk": "2.32.0",
        "dtype": "bf16",
        "batch_sizes": [1],
        "task": "speech-recognition",
    }
    (job.source / "model.hlo").write_bytes(b"HloModule of ours")
    return job


@pytest.fixture
def torchscript(job: Any) -> Any:
    """A job for engine torch-neuron with one TorchScript file."""
    job.request["model"] |= {
        "name": "vision",
        "engine": "torch-neuron",
        "target": "inf1",
        "sdk": "2.20.2",
        "dtype": "bf16",
        "batch_sizes": [1, 2],
        "task": "image-classification",
    }
    (job.source / "model.pt").write_text("{}")
    (job.source / "inputs.json").write_text('[{"name": "pixels", "dtype": "float32", "shape": ["batch", 3, 4]}]')
    return job


@pytest.fixture
def hugging_face(job: Any) -> Any:
    """A job for engine torch-neuronx with a Hugging Face folder."""
    job.request["model"] |= {
        "name": "minilm",
        "engine": "torch-neuronx",
        "target": "inf2",
        "sdk": "2.31.1",
        "dtype": "bf16",
        "batch_sizes": [1, 4],
        "sequence_lengths": [8, 16],
        "task": "feature-extraction",
    }
    (job.source / "config.json").write_text('{"type_vocab_size": 2}')
    (job.source / "model.safetensors").write_bytes(b"weights")
    (job.source / "tokenizer.json").write_text("{}")
    return job


class TestNeuronxCc:
    def test_the_documented_command_makes_an_artifact(self, hlo: Any, stand_ins: str) -> None:
        assert hlo.run(path=stand_ins) == 0, hlo.printed
        manifest = hlo.manifest
        assert manifest["programs"] == [{"file": "batch-1.neff", "batch_size": 1}]
        assert manifest["verification"]["ran"] == ["files"]
        assert "on Neuron devices only; the model's smoke test is what asks it" in manifest["verification"]["left"][1]
        assert manifest["compiler"] == {"name": "neuronx-cc", "version": "2.27.5334.0"}
        assert [entry["path"] for entry in manifest["files"]] == ["batch-1.neff", "compile.log", "neuronx-cc.log"]

    def test_the_command_is_in_the_manifest(self, hlo: Any, stand_ins: str) -> None:
        hlo.run(path=stand_ins)
        words = hlo.manifest["command"]
        assert words[:2] == ["neuronx-cc", "compile"]
        assert " ".join(words[3:-6]) == (
            "--framework XLA --target trn2 --model-type generic --auto-cast matmult --auto-cast-type bf16 "
            "--enable-mixed-precision-accumulation --optlevel 2 --logical-nc-config 2 "
            "--implicit-integer-downcast all --native-int64 disabled"
        )

    @pytest.mark.parametrize(
        ("ends", "message"),
        [
            ("fail", "error: neuronx-cc ended with status 1; what it said is above"),
            ("silent", "error: neuronx-cc ended well but wrote no batch-1.neff"),
        ],
    )
    def test_a_compiler_that_fails_fails_the_job(self, hlo: Any, stand_ins: str, ends: str, message: str) -> None:
        assert hlo.run(path=stand_ins, NEURONX_CC_ENDS=ends) == 1
        assert hlo.message.read_text().splitlines()[-1] == message
        assert not (hlo.output / "manifest.json").exists()

    @pytest.mark.parametrize("ends", ["killed", "killed below"])
    def test_a_compiler_that_is_killed_is_told_as_want_of_memory(self, hlo: Any, stand_ins: str, ends: str) -> None:
        assert hlo.run(path=stand_ins, NEURONX_CC_ENDS=ends) == 1
        message = "error: neuronx-cc was killed (signal 9), most likely for want of memory"
        assert hlo.message.read_text().splitlines()[-2:] == [message, memory.TOO_LITTLE]

    def test_what_the_compiler_said_is_in_the_message(self, hlo: Any, stand_ins: str) -> None:
        hlo.run(path=stand_ins, NEURONX_CC_ENDS="fail")
        assert "unsupported operator stablehlo.custom_call" in hlo.message.read_text()

    def test_a_job_that_is_stopped_takes_the_compiler_with_it(self, hlo: Any, stand_ins: str) -> None:
        process = hlo.start(path=stand_ins, NEURONX_CC_ENDS="hangs")
        compiler = next(int(line.split()[-1]) for line in process.stdout if line.startswith("compiler pid"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)
        assert process.returncode == 1
        last = hlo.message.read_text().splitlines()[-1]
        assert last == "error: the job was stopped (SIGTERM) before the compile ended"
        with pytest.raises(ProcessLookupError):
            os.kill(compiler, 0)

    def test_an_image_without_the_compiler_is_named(self, hlo: Any) -> None:
        assert hlo.run() == 1
        assert "there is no neuronx-cc on PATH" in hlo.message.read_text()

    def test_an_argument_the_compiler_does_not_know_fails_the_job(self, hlo: Any, stand_ins: str) -> None:
        hlo.request["model"]["compiler_args"] = ["--no-such-flag"]
        assert hlo.run(path=stand_ins) == 1
        assert "unrecognized arguments: --no-such-flag" in hlo.message.read_text()

    def test_more_shapes_than_an_hlo_has_are_refused(self, hlo: Any, stand_ins: str) -> None:
        hlo.request["model"]["batch_sizes"] = [1, 4]
        assert hlo.run(path=stand_ins) == 1
        assert "model.hlo has its shapes inside" in hlo.message.read_text()


class TestTorchNeuronx:
    def test_every_shape_is_traced_for_the_target_on_the_cpu(self, hugging_face: Any, stand_ins: str) -> None:
        assert hugging_face.run(path=stand_ins) == 0, hugging_face.printed
        programs = hugging_face.manifest["programs"]
        assert [(entry["batch_size"], entry["sequence_length"]) for entry in programs] == [
            (1, 8),
            (1, 16),
            (4, 8),
            (4, 16),
        ]
        for entry in programs:
            traced = json.loads((hugging_face.output / entry["file"]).read_text())
            shape = [entry["batch_size"], entry["sequence_length"]]
            assert traced["shapes"] == [shape] * 3
            assert traced["dtypes"] == ["int64"] * 3
            assert traced["cpu_backend"] is True
            assert traced["compiler_args"][:2] == ["--target", "inf2"]

    def test_a_compiler_that_is_killed_below_the_trace_is_told_as_want_of_memory(
        self, hugging_face: Any, stand_ins: str
    ) -> None:
        assert hugging_face.run(path=stand_ins, NEURONX_CC_ENDS="killed") == 1
        last = hugging_face.message.read_text().splitlines()[-2:]
        assert last == ["RuntimeError: neuronx-cc failed with -9", memory.TOO_LITTLE]

    def test_the_manifest_names_inputs_and_shapes(self, hugging_face: Any, stand_ins: str) -> None:
        hugging_face.run(path=stand_ins)
        manifest = hugging_face.manifest
        assert [entry["name"] for entry in manifest["inputs"]] == ["input_ids", "attention_mask", "token_type_ids"]
        assert [entry["shape"] for entry in manifest["outputs"]] == [["batch"], ["batch", "sequence"]]
        assert manifest["compiler"] == {"name": "torch-neuronx", "version": "2.9.0.2.14"}

    def test_the_models_own_answers_on_the_cpu_go_with_the_artifact(self, hugging_face: Any, stand_ins: str) -> None:
        hugging_face.run(path=stand_ins)
        verification = hugging_face.manifest["verification"]
        assert (verification["ran"], verification["examples"]) == (["files"], 4)
        assert [reason.split(":")[0] for reason in verification["left"]] == ["loads", "golden"]
        assert "max_error" not in verification
        document = json.loads((hugging_face.output / "golden.json").read_text())
        assert document["tolerance"] == {"atol": 1e-05, "rtol": 0.02}
        assert len(document["examples"]) == 4
        for example in document["examples"]:
            means = [sum(row) / len(row) for row in example["inputs"]["input_ids"]]
            assert example["outputs"]["output_0"] == pytest.approx(means)
            assert set(map(tuple, example["inputs"]["attention_mask"])) == {
                (1,) * len(example["outputs"]["output_1"][0])
            }

    def test_flags_are_in_the_manifest(self, hugging_face: Any, stand_ins: str) -> None:
        hugging_face.run(path=stand_ins)
        assert hugging_face.manifest["flags"][:2] == ["--target", "inf2"]

    def test_the_artifact_holds_what_the_serving_container_runs(self, hugging_face: Any, stand_ins: str) -> None:
        hugging_face.run(path=stand_ins)
        paths = {entry["path"] for entry in hugging_face.manifest["files"]}
        assert {"code/inference.py", "tokenizer/tokenizer.json", "tokenizer/config.json"} <= paths
        assert "model.safetensors" not in {Path(path).name for path in paths}

    def test_flags_of_the_image_change_nothing(self, hugging_face: Any, stand_ins: str) -> None:
        assert hugging_face.run(path=stand_ins, NEURON_CC_FLAGS="--optlevel 1") == 0, hugging_face.printed

    def test_a_torchscript_file_is_traced_with_the_inputs_it_names(self, job: Any, stand_ins: str) -> None:
        job.request["model"] |= {"engine": "torch-neuronx", "target": "trn1", "sdk": "2.31.1", "batch_sizes": [2]}
        (job.source / "model.pt").write_text("{}")
        inputs = [{"name": "pixels", "dtype": "float32", "shape": ["batch", 3, 4]}]
        (job.source / "inputs.json").write_text(json.dumps(inputs))
        assert job.run(path=stand_ins) == 0, job.printed
        assert job.manifest["inputs"] == inputs
        assert json.loads((job.output / "batch-2.pt").read_text())["shapes"] == [[2, 3, 4]]

    def test_a_torchscript_file_alone_is_refused(self, job: Any, stand_ins: str) -> None:
        job.request["model"] |= {"engine": "torch-neuronx", "target": "trn1", "sdk": "2.31.1"}
        (job.source / "model.pt").write_text("{}")
        assert job.run(path=stand_ins) == 1
        assert "model.pt needs inputs.json beside it" in job.message.read_text()

    def test_weights_that_can_run_code_are_refused(self, hugging_face: Any, stand_ins: str) -> None:
        (hugging_face.source / "model.safetensors").rename(hugging_face.source / "pytorch_model.bin")
        assert hugging_face.run(path=stand_ins) == 1
        assert "needs its weights as safetensors" in hugging_face.message.read_text()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"sequence_lengths": []}, "give sequence_lengths"),
            ({"task": "image-to-video"}, "task 'image-to-video' of a Hugging Face model is not one of"),
            ({"target": "inf1"}, "not for 'inf1'"),
        ],
        ids=["no lengths", "task", "target"],
    )
    def test_what_cannot_be_traced_is_refused(
        self, hugging_face: Any, stand_ins: str, changed: dict[str, Any], message: str
    ) -> None:
        hugging_face.request["model"] |= changed
        assert hugging_face.run(path=stand_ins) == 1
        assert message in hugging_face.message.read_text()


class TestTorchNeuron:
    def test_every_shape_is_traced_with_the_documented_arguments(self, torchscript: Any, stand_ins: str) -> None:
        assert torchscript.run(path=stand_ins, NEURON_CC_FLAGS="--fast-math all") == 0, torchscript.printed
        manifest = torchscript.manifest
        assert manifest["programs"] == [
            {"file": "batch-1.pt", "batch_size": 1},
            {"file": "batch-2.pt", "batch_size": 2},
        ]
        for rows in (1, 2):
            traced = json.loads((torchscript.output / f"batch-{rows}.pt").read_text())
            assert traced["shapes"] == [[rows, 3, 4]]
            assert traced["compiler_args"] == ["--fast-math", "fp32-cast-matmult-bf16"]

    def test_the_manifest_names_compiler_command_and_shapes(self, torchscript: Any, stand_ins: str) -> None:
        torchscript.run(path=stand_ins)
        manifest = torchscript.manifest
        assert manifest["compiler"] == {"name": "torch-neuron", "version": "1.13.1.2.11.13.0"}
        assert manifest["command"] == ["torch.neuron.trace", "--fast-math", "fp32-cast-matmult-bf16"]
        assert [entry["shape"] for entry in manifest["inputs"]] == [["batch", 3, 4]]
        assert [entry["shape"] for entry in manifest["outputs"]] == [["batch", 3], ["batch", 3, 4]]

    def test_the_artifact_has_no_tokenizer_which_its_container_could_not_load(
        self, torchscript: Any, stand_ins: str
    ) -> None:
        (torchscript.source / "tokenizer.json").write_text("{}")
        torchscript.run(path=stand_ins)
        paths = {entry["path"] for entry in torchscript.manifest["files"]}
        assert paths == {"batch-1.pt", "batch-2.pt", "code/inference.py", "compile.log", "golden.json"}

    @pytest.mark.parametrize(
        ("changed", "message"),
        [({"target": "inf2"}, "neuron-cc compiles for inf1, not for 'inf2'"), ({"dtype": "fp8"}, "dtype 'fp8' is not")],
        ids=["target", "dtype"],
    )
    def test_what_cannot_be_traced_is_refused(
        self, torchscript: Any, stand_ins: str, changed: dict[str, Any], message: str
    ) -> None:
        torchscript.request["model"] |= changed
        assert torchscript.run(path=stand_ins) == 1
        assert message in torchscript.message.read_text()

    def test_a_hugging_face_folder_is_refused(self, hugging_face: Any, stand_ins: str) -> None:
        hugging_face.request["model"] |= {"engine": "torch-neuron", "target": "inf1", "sdk": "2.20.2"}
        assert hugging_face.run(path=stand_ins) == 1
        assert "its image has no transformers" in hugging_face.message.read_text()


class TestInferenceScript:
    """``code/inference.py`` of an artifact, called as the serving container's toolkit calls it."""

    @pytest.fixture
    def load(self, inference_script: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        def script_of(job: Any) -> ModuleType:
            monkeypatch.delenv("NEURON_RT_NUM_CORES", raising=False)
            return inference_script(job)

        yield script_of
        for name in ("torch", "torch_neuron", "torch_neuronx", "transformers", "sagemaker_inference"):
            sys.modules.pop(name, None)
        sys.modules.pop("sagemaker_inference.errors", None)
        os.environ.pop("NEURON_RT_NUM_CORES", None)

    @pytest.fixture
    def script(self, load: Any, hugging_face: Any) -> ModuleType:
        module: ModuleType = load(hugging_face)
        return module

    @pytest.fixture
    def ask(self, script: ModuleType, hugging_face: Any) -> Any:
        model = script.model_fn(str(hugging_face.output))

        def call(document: object, content_type: str = "application/json") -> Any:
            data = script.input_fn(json.dumps(document), content_type)
            body, kind = script.output_fn(script.predict_fn(data, model), "*/*")
            assert kind == "application/json"
            return json.loads(body)["outputs"]

        return call

    @pytest.mark.parametrize("rows", [1, 3, 4, 9])
    def test_rows_are_padded_and_split_to_what_was_compiled(self, ask: Any, rows: int) -> None:
        ids = [[row] * 8 for row in range(rows)]
        answer = ask({"inputs": dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ids)})
        assert answer["output_0"] == [float(row) for row in range(rows)]

    @pytest.mark.parametrize(("words", "length"), [(3, 8), (9, 16), (40, 16)])
    def test_text_is_padded_to_the_shortest_compiled_length_that_holds_it(
        self, ask: Any, words: int, length: int
    ) -> None:
        (tokens,) = ask({"inputs": "word " * words})["output_1"]
        assert len(tokens) == length
        assert tokens[: min(words, length)] == [4.0] * min(words, length)

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"inputs": {"input_ids": [[1] * 8]}}, "expected the inputs"),
            (
                {"inputs": {name: [[1] * 9] for name in ("input_ids", "attention_mask", "token_type_ids")}},
                "sequence length 9 is not compiled; compiled are [8, 16]",
            ),
            ({"inputs": {name: [1] * 8 for name in ("input_ids", "attention_mask", "token_type_ids")}}, "takes shape"),
        ],
        ids=["names", "length", "dimensions"],
    )
    def test_what_cannot_be_answered_is_the_clients_error(self, ask: Any, document: object, message: str) -> None:
        refusal = importlib.import_module("sagemaker_inference.errors").BaseInferenceToolkitError
        with pytest.raises(refusal, match=re.escape(message)) as raised:
            ask(document)
        assert raised.value.status_code == 400

    def test_a_corrupt_program_is_never_loaded(self, script: ModuleType, hugging_face: Any) -> None:
        (hugging_face.output / "batch-1-sequence-8.pt").write_text("{}")
        with pytest.raises(ValueError, match=r"corrupt: batch-1-sequence-8\.pt is not what the manifest lists"):
            script.model_fn(str(hugging_face.output))

    def test_a_worker_takes_one_core(self, script: ModuleType) -> None:
        assert os.environ["NEURON_RT_NUM_CORES"] == "1"

    def test_programs_for_the_first_inferentia_are_answered_with(self, load: Any, torchscript: Any) -> None:
        script = load(torchscript)
        model = script.model_fn(str(torchscript.output))
        rows = [[[float(row)] * 4] * 3 for row in range(5)]
        answer = script.predict_fn({"pixels": rows}, model)
        assert answer["output_0"] == [[float(row)] * 3 for row in range(5)]
