"""The compile job on a real ONNX model, and on what is none."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest


def test_every_batch_size_becomes_a_program_with_that_fixed_shape(compiled: Any) -> None:
    assert compiled.manifest["programs"] == [
        {"file": "batch-1.ort", "batch_size": 1},
        {"file": "batch-4.ort", "batch_size": 4},
    ]
    for program in compiled.manifest["programs"]:
        session = ort.InferenceSession(str(compiled.output / program["file"]))
        assert session.get_inputs()[0].shape == [program["batch_size"], 2048]


def test_programs_answer_as_the_original_does(compiled: Any, magika_model: Path) -> None:
    rows = np.random.default_rng(1).integers(0, 257, (4, 2048), dtype=np.int32)
    (expected,) = ort.InferenceSession(str(magika_model)).run(None, {"bytes": rows})
    (answered,) = ort.InferenceSession(str(compiled.output / "batch-4.ort")).run(None, {"bytes": rows})
    np.testing.assert_allclose(answered, expected, rtol=1e-5, atol=1e-6)


def test_the_artifact_is_not_the_source(compiled: Any, magika_model: Path) -> None:
    source = magika_model.read_bytes()
    for file in compiled.output.iterdir():
        content = file.read_bytes()
        assert content != source
        assert source[:4096] not in content


def test_the_manifest_says_what_was_made_and_how(compiled: Any) -> None:
    manifest = compiled.manifest
    expected = {"schema": 1, "artifact_key": "ab" * 32, "engine": "onnxruntime", "target": "cpu", "dtype": "fp32"}
    assert {name: manifest[name] for name in expected} == expected
    assert manifest["compiler"] == {"name": "onnxruntime", "version": ort.__version__}
    assert manifest["inputs"] == [{"name": "bytes", "dtype": "int32", "shape": ["batch", 2048]}]
    assert manifest["outputs"] == [{"name": "target_label", "dtype": "float32", "shape": ["batch", 214]}]
    assert manifest["compile_seconds"] > 0
    assert manifest["flags"] == ["graph_optimization_level=extended"]
    assert manifest["shapes"] == [
        {"batch_size": 1, "sequence_length": None},
        {"batch_size": 4, "sequence_length": None},
    ]
    assert (compiled.output / manifest["log"]).is_file()
    age = datetime.now(UTC) - datetime.fromisoformat(manifest["started_at"])
    assert timedelta() <= age < timedelta(hours=1)


def test_the_manifest_lists_every_file_with_its_sha256(compiled: Any) -> None:
    listed = {entry["path"]: (entry["sha256"], entry["bytes"]) for entry in compiled.manifest["files"]}
    present = {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
        for file in compiled.output.iterdir()
        if file.name != "manifest.json"
    }
    assert listed == present
    assert set(present) == {"batch-1.ort", "batch-4.ort", "compile.log", "golden.json"}


def test_the_log_is_printed_and_kept(compiled: Any) -> None:
    assert "compiled by onnxruntime" in compiled.printed
    assert (compiled.output / "compile.log").read_text() == compiled.printed


def test_nothing_is_left_in_the_container_but_the_artifact(compiled: Any) -> None:
    assert sorted(path.name for path in (compiled.root / "processing" / "input").iterdir()) == ["request", "source"]


def test_an_asset_is_unpacked(job: Any, magika_model: Path) -> None:
    job.request["model"]["source"] = {"kind": "asset"}
    with zipfile.ZipFile(job.source / f"{'c' * 64}.zip", "w") as archive:
        archive.write(magika_model, "folder/model.onnx")
    assert job.run() == 0, job.printed
    assert len(job.manifest["programs"]) == 2


class TestFailure:
    """Each ends with status 1, one clear message for DescribeProcessingJob, and no manifest."""

    def fail(self, job: Any) -> str:
        assert job.run() == 1
        assert not (job.output / "manifest.json").exists()
        message: str = job.message.read_text()
        assert len(message) <= 1024
        last = message.splitlines()[-1]
        assert last.startswith("error: "), message
        assert "Traceback" not in message
        return last

    def test_no_model(self, job: Any) -> None:
        (job.source / "README.md").write_text("nothing here")
        assert "must hold exactly one .onnx file; found README.md" in self.fail(job)

    def test_two_models(self, job: Any, magika_model: Path) -> None:
        for name in ("a.onnx", "b.onnx"):
            (job.source / name).write_bytes(magika_model.read_bytes())
        assert "found a.onnx, b.onnx" in self.fail(job)

    def test_an_empty_source(self, job: Any) -> None:
        assert "the model's source is empty" in self.fail(job)

    def test_a_file_that_is_not_onnx(self, job: Any) -> None:
        (job.source / "model.onnx").write_text("not a model")
        assert "model.onnx is no model that ONNX Runtime" in self.fail(job)

    def test_a_truncated_model(self, job: Any, magika_model: Path) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes()[:1_000_000])
        assert "model.onnx is no model that ONNX Runtime" in self.fail(job)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"dtype": "bf16"}, "dtype must be fp32, not bf16"),
            ({"compiler_args": ["-O2"]}, "takes no compiler_args; given -O2"),
            ({"tensor_parallel": 2}, "tensor_parallel must be 1, not 2"),
            ({"sequence_lengths": [128]}, "leave sequence_lengths out"),
            ({"engine": "tvm"}, "engine 'tvm' is not one of onnxruntime, torch-neuronx, torch-neuron, neuronx-cc"),
        ],
        ids=["dtype", "compiler_args", "tensor_parallel", "sequence_lengths", "engine"],
    )
    def test_what_the_engine_cannot_do(
        self, job: Any, magika_model: Path, changed: dict[str, Any], message: str
    ) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
        job.request["model"] |= changed
        assert message in self.fail(job)

    def test_a_request_of_another_version(self, job: Any) -> None:
        del job.request["model"]["engine"]
        assert "request.json is not a compile request of this version: KeyError('engine')" in self.fail(job)

    def test_a_program_error_leaves_the_end_of_its_trace(self, job: Any, magika_model: Path) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
        job.output.mkdir()
        (job.output / "batch-1.ort").mkdir()  # where the program should go
        assert job.run() == 1
        assert "batch-1.ort" in job.message.read_text()


class TestArchive:
    """A zip nobody vouches for."""

    @pytest.fixture
    def pack(self, job: Any) -> Any:
        job.request["model"]["source"] = {"kind": "asset"}

        def write(name: str, content: bytes = b"x", mode: int = 0) -> Any:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            with zipfile.ZipFile(job.source / "asset.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(entry, content)
            return job

        return write

    @pytest.mark.parametrize(
        "name", ["../outside.onnx", "/etc/outside.onnx", "a/../../outside.onnx", "..\\outside.onnx"]
    )
    def test_a_path_that_leaves_its_folder_is_refused(self, pack: Any, name: str) -> None:
        job = pack(name)
        assert job.run() == 1
        assert "would be written outside its folder" in job.message.read_text()
        assert not list(job.root.rglob("outside.onnx"))

    def test_a_link_is_refused(self, pack: Any) -> None:
        job = pack("model.onnx", b"/etc/passwd", stat.S_IFLNK | 0o777)
        assert job.run() == 1
        assert "is a link or a special file" in job.message.read_text()

    def test_a_damaged_archive_is_refused(self, pack: Any) -> None:
        job = pack("model.onnx", b"content" * 100)
        archive = job.source / "asset.zip"
        content = bytearray(archive.read_bytes())
        content[45] ^= 0xFF  # inside the compressed data
        archive.write_bytes(content)
        assert job.run() == 1
        assert "error: the archive is damaged" in job.message.read_text()

    def test_something_that_is_no_zip_is_refused(self, job: Any) -> None:
        job.request["model"]["source"] = {"kind": "asset"}
        (job.source / "asset.zip").write_bytes(b"no zip")
        assert job.run() == 1
        assert "comes as one zip; found asset.zip" in job.message.read_text()


def test_the_jobs_run_from_a_zip_as_the_container_gets_them(job: Any, magika_model: Path, tmp_path: Path) -> None:
    lambda_root = Path(__file__).resolve().parents[2] / "lambda"
    with zipfile.ZipFile(tmp_path / "jobs.zip", "w") as archive:
        for file in (lambda_root / "neuron_jobs").rglob("*.py"):
            archive.write(file, file.relative_to(lambda_root))
    (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
    assert job.run(PYTHONPATH=str(tmp_path / "jobs.zip")) == 0, job.printed
    assert json.loads((job.output / "manifest.json").read_text())["engine"] == "onnxruntime"
