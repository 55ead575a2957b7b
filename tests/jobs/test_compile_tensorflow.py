"""Engine ``tensorflow-neuronx``, up to the compiler: the stand-ins take what SDK 2.17.0 documents and nothing else.

The pages are named there. The real compiler runs in AWS's image only, which no test here has seen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuron_jobs.engines import tf_trace
from neuron_jobs.errors import JobError
from neuron_jobs.request import CompileRequest

IMAGES = {
    "inputs": {"pixels": ["float32", [None, 8, 8, 3]]},
    "outputs": {"scores": ["float32", [None, 10]]},
}
TEXT = {
    "inputs": {"input_ids": ["int32", [None, None]], "attention_mask": ["int32", [None, None]]},
    "outputs": {"tokens": ["float32", [None, None, 4]], "pooled": ["float32", [None, 4]]},
}


def write(folder: Path, **signatures: Any) -> None:
    """A SavedModel of the stand-in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(json.dumps({"signatures": signatures}))
    (folder / "variables").mkdir()
    (folder / "variables" / "variables.index").write_bytes(b"index")


@pytest.fixture
def images(job: Any) -> Any:
    """A job for a model of images."""
    job.request["model"] |= {
        "name": "vision",
        "engine": "tensorflow-neuronx",
        "target": "inf2",
        "sdk": "2.17.0",
        "dtype": "bf16",
        "batch_sizes": [4],
        "task": "image-classification",
    }
    write(job.source, serving_default=IMAGES)
    return job


@pytest.fixture
def text(job: Any) -> Any:
    """A job for a model of sequences."""
    job.request["model"] |= {
        "name": "roberta",
        "engine": "tensorflow-neuronx",
        "target": "trn1",
        "sdk": "2.17.0",
        "dtype": "fp32",
        "batch_sizes": [2],
        "sequence_lengths": [16],
        "task": "feature-extraction",
    }
    write(job.source, serving_default=TEXT)
    return job


def saved(job: Any) -> dict[str, Any]:
    """What was saved, and how it was traced."""
    document: dict[str, Any] = json.loads((job.output / "1" / "saved_model.pb").read_text())
    return document


class TestTrace:
    def test_the_signature_is_traced_in_its_one_shape(self, images: Any, stand_ins: str) -> None:
        assert images.run(path=stand_ins) == 0, images.printed
        assert saved(images)["shapes"] == [[4, 8, 8, 3]]

    def test_the_compiler_gets_target_and_pins_by_the_environment(self, images: Any, stand_ins: str) -> None:
        assert images.run(path=stand_ins) == 0, images.printed
        given = {name: value for name, value in saved(images)["flags"].items() if value}
        assert given == {
            "target": "inf2",
            "model_type": "generic",
            "auto_cast": "matmult",
            "auto_cast_type": "bf16",
            "optlevel": "2",
        }

    def test_flags_of_the_image_change_nothing(self, images: Any, stand_ins: str) -> None:
        assert images.run(path=stand_ins, NEURON_CC_FLAGS="--target trn1 --optlevel 1") == 0, images.printed
        assert saved(images)["flags"]["target"] == "inf2"
        assert saved(images)["flags"]["optlevel"] == "2"

    def test_free_dimensions_behind_the_batch_are_the_sequence(self, text: Any, stand_ins: str) -> None:
        assert text.run(path=stand_ins) == 0, text.printed
        assert saved(text)["shapes"] == [[2, 16], [2, 16]]

    def test_a_compile_that_left_all_on_the_cpu_fails_the_job(self, images: Any, stand_ins: str) -> None:
        images.request["model"]["compiler_args"] = ["--auto-cast=everything"]
        assert images.run(path=stand_ins) == 1
        assert "neuronx-cc failed with: argument --auto-cast: invalid choice" in images.printed
        assert "the compiler took no part of the model" in images.message.read_text()
        assert not (images.output / "manifest.json").exists()


class TestArtifact:
    def test_it_is_where_tensorflow_serving_looks(self, images: Any, stand_ins: str) -> None:
        images.run(path=stand_ins)
        assert images.manifest["programs"] == [{"file": "1/saved_model.pb", "batch_size": 4}]
        paths = {entry["path"] for entry in images.manifest["files"]}
        assert paths == {"1/saved_model.pb", "1/variables/variables.index", "compile.log"}

    def test_the_signature_keeps_its_names_and_has_the_shape(self, text: Any, stand_ins: str) -> None:
        text.run(path=stand_ins)
        assert saved(text)["signatures"] == {
            "serving_default": {
                "inputs": {"attention_mask": ["int32", [2, 16]], "input_ids": ["int32", [2, 16]]},
                "outputs": {"pooled": ["float32", [2, 4]], "tokens": ["float32", [2, 16, 4]]},
            }
        }

    def test_the_manifest_describes_inputs_and_outputs(self, text: Any, stand_ins: str) -> None:
        text.run(path=stand_ins)
        assert text.manifest["inputs"] == [
            {"name": "attention_mask", "dtype": "int32", "shape": ["batch", "sequence"]},
            {"name": "input_ids", "dtype": "int32", "shape": ["batch", "sequence"]},
        ]
        assert text.manifest["outputs"] == [
            {"name": "pooled", "dtype": "float32", "shape": ["batch", 4]},
            {"name": "tokens", "dtype": "float32", "shape": ["batch", "sequence", 4]},
        ]

    def test_the_manifest_says_how(self, images: Any, stand_ins: str) -> None:
        images.run(path=stand_ins)
        flags = "--target inf2 --model-type generic --auto-cast matmult --auto-cast-type bf16 --optlevel 2"
        assert images.manifest["command"] == ["tensorflow_neuronx.trace", f"NEURON_CC_FLAGS={flags}"]
        assert images.manifest["flags"] == flags.split()
        assert images.manifest["compiler"] == {"name": "tensorflow-neuronx", "version": "2.10.1.2.1.0"}

    def test_what_could_not_be_verified_is_said(self, images: Any, stand_ins: str) -> None:
        images.run(path=stand_ins)
        assert images.manifest["verification"]["ran"] == ["files"]
        loads, golden = images.manifest["verification"]["left"]
        assert loads.startswith("loads: what tensorflow-neuronx makes is loaded by its own server")
        assert golden.startswith("golden: ")
        assert not (images.output / "golden.json").exists()


class TestSource:
    def test_the_only_signature_is_taken_whatever_its_name(self, images: Any, stand_ins: str) -> None:
        (images.source / "saved_model.pb").write_text(json.dumps({"signatures": {"classify": IMAGES}}))
        assert images.run(path=stand_ins) == 0, images.printed
        assert list(saved(images)["signatures"]) == ["serving_default"]

    def test_a_folder_as_tensorflow_serving_has_it_is_taken(self, images: Any, stand_ins: str) -> None:
        (images.source / "1").mkdir()
        (images.source / "saved_model.pb").rename(images.source / "1" / "saved_model.pb")
        assert images.run(path=stand_ins) == 0, images.printed

    @pytest.mark.parametrize(
        ("signatures", "says"),
        [
            ({"a": IMAGES, "b": IMAGES}, "no signature 'serving_default', which says what it takes; it has a, b"),
            ({}, "it has none"),
            ({"serving_default": {**IMAGES, "inputs": {"text": ["string", [None]]}}}, "is of type string"),
            ({"serving_default": {**IMAGES, "inputs": {"x": ["float32", None]}}}, "input 'x' has no shape"),
            ({"serving_default": {**IMAGES, "inputs": {"x": ["float32", [1, 3]]}}}, "cannot take batches of 4"),
        ],
        ids=["several", "none", "strings", "no shape", "fixed batch"],
    )
    def test_a_signature_that_does_not_tell_is_refused(
        self, images: Any, stand_ins: str, signatures: dict[str, Any], says: str
    ) -> None:
        (images.source / "saved_model.pb").write_text(json.dumps({"signatures": signatures}))
        assert images.run(path=stand_ins) == 1
        assert says in images.message.read_text()

    def test_several_models_are_refused(self, images: Any, stand_ins: str) -> None:
        write(images.source / "other", serving_default=IMAGES)
        assert images.run(path=stand_ins) == 1
        assert "takes one SavedModel" in images.message.read_text()
        assert "found other/saved_model.pb, saved_model.pb" in images.message.read_text()

    def test_a_length_is_needed_where_one_is_free(self, text: Any, stand_ins: str) -> None:
        text.request["model"]["sequence_lengths"] = []
        assert text.run(path=stand_ins) == 1
        assert "give sequence_lengths" in text.message.read_text()

    def test_a_length_is_refused_where_none_is_free(self, images: Any, stand_ins: str) -> None:
        images.request["model"]["sequence_lengths"] = [16]
        assert images.run(path=stand_ins) == 1
        assert "leave sequence_lengths out" in images.message.read_text()


def request(**changed: Any) -> CompileRequest:
    given: dict[str, Any] = {
        "artifact_key": "ab" * 32,
        "attempt": "a1",
        "name": "vision",
        "source_kind": "s3",
        "task": "image-classification",
        "engine": "tensorflow-neuronx",
        "target": "inf2",
        "sdk": "2.17.0",
        "dtype": "bf16",
        "batch_sizes": (1,),
        "sequence_lengths": (),
        "tensor_parallel": 1,
        "compiler_args": (),
    }
    return CompileRequest(**{**given, **changed})


class TestFlags:
    def test_options_of_later_releases_are_not_given(self) -> None:
        # --enable-mixed-precision-accumulation came with SDK 2.18.
        assert flags(task="feature-extraction", dtype="fp32") == (
            "--target inf2 --model-type transformer --auto-cast none --optlevel 2"
        )

    def test_what_the_model_asks_for_replaces_what_is_pinned(self) -> None:
        given = ("--optlevel=3", "--model-type=unet-inference", "--enable-saturate-infinity")
        assert flags(dtype="fp32", compiler_args=given) == f"--target inf2 --auto-cast none {' '.join(given)}"

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"target": "trn2"}, "compiles for inf2, trn1, trn1n, not for 'trn2'"),
            ({"dtype": "int8"}, "dtype 'int8' is not one of"),
            ({"tensor_parallel": 2}, "compiles for one core"),
            ({"compiler_args": ("--target=trn1",)}, "not --target=trn1"),
            ({"compiler_args": ("--dynamic-batch-size",)}, "not --dynamic-batch-size"),
            ({"compiler_args": ("--enable-mixed-precision-accumulation",)}, "not --enable-mixed-precision"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_the_compiler_cannot_be_asked_is_refused(self, changed: dict[str, Any], says: str) -> None:
        with pytest.raises(JobError, match=says):
            tf_trace.flags(request(**changed))

    @pytest.mark.parametrize("changed", [{"batch_sizes": (1, 2)}, {"sequence_lengths": (8, 16)}], ids=str)
    def test_several_shapes_are_refused(self, tmp_path: Path, changed: dict[str, Any]) -> None:
        with pytest.raises(JobError, match="give one of batch_sizes and at most one sequence length"):
            tf_trace.compile(request(**changed), tmp_path, tmp_path)


def flags(**changed: Any) -> str:
    return " ".join(tf_trace.flags(request(**changed)))
