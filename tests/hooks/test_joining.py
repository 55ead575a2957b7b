"""An artifact joined from parts is what one job would have made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
WHOLE = "cd" * 32
LOGITS = {"name": "logits", "dtype": "float32", "shape": ["batch", 2]}
IDS = {"name": "ids", "dtype": "int64", "shape": ["batch", "sequence"]}


class Parts:
    """Parts in S3, and the hook that joins them."""

    def __init__(self, load: Load, aws: Any) -> None:
        self._load, self.aws = load, aws
        self.told: list[dict[str, Any]] = []

    def add(self, batch: int, length: int | None, *, files: dict[str, bytes] | None = None, **facts: Any) -> None:
        key = f"{len(self.told):064x}"
        name = f"batch-{batch}" + ("" if length is None else f"-sequence-{length}")
        holds = {f"{name}.pt": name.encode(), "code/inference.py": b"serve", "compile.log": f"{name}\n".encode()}
        holds |= files or {}
        program: dict[str, Any] = {"file": f"{name}.pt", "batch_size": batch}
        if length is not None:
            program["sequence_length"] = length
        manifest = {
            "schema": 1,
            "artifact_key": key,
            "engine": "torch-neuronx",
            "target": "inf2",
            "sdk": "2.31.1",
            "dtype": "bf16",
            "compiler": {"name": "torch-neuronx", "version": "1"},
            "command": ["torch_neuronx.trace"],
            "flags": ["-O2"],
            "shapes": [{"batch_size": batch, "sequence_length": length}],
            "programs": [program],
            "inputs": [IDS],
            "outputs": [LOGITS],
            "log": "compile.log",
            "started_at": f"2026-11-27T00:0{len(self.told)}:00Z",
            "compile_seconds": 1.25,
            "host": {"cpus": 4},
            "verification": {"ran": ["files", "loads"], "left": [], "examples": 1, "max_error": 0.01 * batch},
            **facts,
            "files": [
                {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
                for path, body in holds.items()
            ],
        }
        prefix = f"artifacts/{key}/p1/"
        for path, body in holds.items():
            self.aws.put("artifacts", prefix + path, body)
        self.aws.put("artifacts", f"{prefix}manifest.json", json.dumps(manifest).encode())
        place = {"key": key, "attempt": "p1", "artifact_uri": f"s3://artifacts/{prefix}"}
        self.told.append({**place, "batch_size": batch, "sequence_length": length})

    @property
    def compile(self) -> dict[str, Any]:
        whole = {"key": WHOLE, "attempt": "w1", "model": "minilm", "execution_name": "e", "engine": "torch-neuronx"}
        return {**whole, "target": "inf2", "sdk": "2.31.1", "trigger": "deploy", "join": self.told}

    def join(self) -> dict[str, bytes]:
        """What the whole's prefix holds then."""
        self._load("compile.join_parts").handler({"compile": self.compile}, None)
        prefix = f"artifacts/{WHOLE}/w1/"
        return {
            key.removeprefix(prefix): self.aws.s3.get_object(Bucket="artifacts", Key=key)["Body"].read()
            for key in self.aws.keys("artifacts")
            if key.startswith(prefix)
        }

    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.join()["manifest.json"])
        return document


@pytest.fixture
def parts(load: Load, aws: Any) -> Parts:
    return Parts(load, aws)


@pytest.fixture
def refused(load: Load) -> type[Exception]:
    error: type[Exception] = load("manifests").ArtifactError
    return error


def test_every_program_is_there_and_what_they_share_is_there_once(parts: Parts) -> None:
    parts.add(1, 128)
    parts.add(4, 128)
    assert set(parts.join()) == {
        "batch-1-sequence-128.pt",
        "batch-4-sequence-128.pt",
        "code/inference.py",
        "compile.log",
        "logs/batch-1-sequence-128.log",
        "logs/batch-4-sequence-128.log",
        "manifest.json",
    }


def test_the_manifest_lists_every_file_with_its_content(parts: Parts) -> None:
    parts.add(1, 128)
    parts.add(4, 128)
    files = parts.join()
    listed = {file["path"]: file["sha256"] for file in json.loads(files.pop("manifest.json"))["files"]}
    assert listed == {path: hashlib.sha256(body).hexdigest() for path, body in files.items()}


def test_the_manifest_says_of_the_whole_what_one_job_would(parts: Parts) -> None:
    parts.add(1, 128)
    parts.add(4, 128)
    manifest = parts.manifest()
    del manifest["files"], manifest["parts"]
    assert manifest == {
        "schema": 1,
        "artifact_key": WHOLE,
        "engine": "torch-neuronx",
        "target": "inf2",
        "sdk": "2.31.1",
        "dtype": "bf16",
        "compiler": {"name": "torch-neuronx", "version": "1"},
        "command": ["torch_neuronx.trace"],
        "flags": ["-O2"],
        "shapes": [{"batch_size": 1, "sequence_length": 128}, {"batch_size": 4, "sequence_length": 128}],
        "programs": [
            {"file": "batch-1-sequence-128.pt", "batch_size": 1, "sequence_length": 128},
            {"file": "batch-4-sequence-128.pt", "batch_size": 4, "sequence_length": 128},
        ],
        "inputs": [IDS],
        "outputs": [LOGITS],
        "log": "compile.log",
        "started_at": "2026-11-27T00:00:00Z",
        "compile_seconds": 2.5,
        "host": {"cpus": 4},
        "verification": {"ran": ["files", "loads"], "left": [], "examples": 2, "max_error": 0.04},
    }


def test_killed_half_way_and_called_again_the_same_comes_of_it(
    parts: Parts, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.add(1, 128)
    parts.add(4, 128)
    undisturbed = parts.join()
    for key in undisturbed:
        parts.aws.s3.delete_object(Bucket="artifacts", Key=f"artifacts/{WHOLE}/w1/{key}")
    write = load("aws").write

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(load("aws"), "write", killed)
    with pytest.raises(KeyboardInterrupt):
        parts.join()
    monkeypatch.setattr(load("aws"), "write", write)
    assert parts.join() == undisturbed


def test_the_whole_is_registered_with_its_parts_and_what_they_cost_is_theirs(
    parts: Parts, load: Load, aws: Any
) -> None:
    aws.set(WHOLE, state="compiling", attempt="w1", lease_owner="r", lease_expires=9999999999)
    parts.add(1, 128)
    parts.add(4, 128)
    parts.join()
    answer = load("compile.register_artifact").handler({"compile": parts.compile, "job": {}, "plan": {}}, None)
    item = aws.item(WHOLE)
    assert (answer["published"], item["state"]) == (True, "ready")
    assert sorted(item["parts"]) == [part["key"] for part in parts.told]
    assert not {"usd", "host", "job_name"} & item.keys()


def test_copies_need_not_be_read_to_be_registered(parts: Parts, load: Load, aws: Any) -> None:
    aws.set(WHOLE, state="compiling", attempt="w1", lease_owner="r", lease_expires=9999999999)
    parts.add(1, None)
    parts.add(4, None)
    parts.join()
    head = aws.s3.head_object(Bucket="artifacts", Key=f"artifacts/{WHOLE}/w1/batch-1.pt", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]


@pytest.mark.parametrize(
    ("shapes", "said", "joined"),
    [
        ([(1, 128), (4, 128)], [["batch", 128], ["batch", 128]], ["batch", 128]),
        ([(1, 128), (1, 256)], [["batch", 128], ["batch", 256]], ["batch", "sequence"]),
        ([(1, 128), (1, 256)], [["batch", "sequence"], ["batch", "sequence"]], ["batch", "sequence"]),
        # A batch as large as a length, or as a fixed dimension: one part's label is another's number.
        ([(128, 128), (128, 256)], [["batch", 128], ["batch", "sequence"]], ["batch", "sequence"]),
        ([(2, 8), (4, 8)], [["batch", "batch"], ["batch", 2]], ["batch", 2]),
    ],
    ids=["fixed", "lengths by number", "lengths by name", "batch as long as the sequence", "batch by accident"],
)
def test_a_dimension_is_what_all_shapes_together_say(parts: Parts, shapes: Any, said: Any, joined: Any) -> None:
    for (batch, length), shape in zip(shapes, said, strict=True):
        parts.add(batch, length, outputs=[{**LOGITS, "shape": shape}])
    assert parts.manifest()["outputs"][0]["shape"] == joined


def test_a_dimension_that_follows_nothing_is_refused(parts: Parts, refused: type[Exception]) -> None:
    parts.add(1, 128, outputs=[{**LOGITS, "shape": ["batch", 7]}])
    parts.add(4, 128, outputs=[{**LOGITS, "shape": ["batch", 9]}])
    with pytest.raises(refused, match=r"outputs logits has a dimension that follows neither .*\[7, 9\]"):
        parts.join()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"compiler": {"name": "torch-neuronx", "version": "2"}}, "different compiler"),
        ({"inputs": []}, "different inputs"),
        ({"inputs": [{**IDS, "dtype": "int32"}]}, "different inputs"),
        ({"files": {"code/inference.py": b"other"}}, "code/inference.py of batch-4-sequence-128 is another"),
    ],
    ids=["compiler", "count", "dtype", "shared file"],
)
def test_parts_that_do_not_fit_are_refused(
    parts: Parts, refused: type[Exception], facts: dict[str, Any], message: str
) -> None:
    parts.add(1, 128)
    parts.add(4, 128, **facts)
    with pytest.raises(refused, match=message):
        parts.join()


def test_a_part_that_is_gone_is_refused(parts: Parts, refused: type[Exception]) -> None:
    parts.add(1, 128)
    parts.told[0]["attempt"] = "gone"
    with pytest.raises(refused):
        parts.join()


def golden(*batches: int) -> bytes:
    examples = [{"inputs": {"ids": [[1]] * batch}, "outputs": {"logits": [[0.5]] * batch}} for batch in batches]
    return json.dumps({"tolerance": {"atol": 1e-5, "rtol": 1e-4}, "examples": examples}).encode()


def test_examples_of_every_shape_are_kept_at_most_four(parts: Parts) -> None:
    parts.add(1, None, files={"golden.json": golden(1, 2, 3)})
    parts.add(4, None, files={"golden.json": golden(1, 4, 5)})
    kept = json.loads(parts.join()["golden.json"])
    assert [len(example["inputs"]["ids"]) for example in kept["examples"]] == [1, 2, 4, 3]
    assert kept["tolerance"] == {"atol": 1e-5, "rtol": 1e-4}


def test_what_was_checked_of_some_shapes_only_is_written_so(parts: Parts) -> None:
    parts.add(1, None)
    parts.add(4, None, verification={"ran": ["files"], "left": ["loads: no device here"]})
    parts.add(8, None, verification={"ran": ["files", "loads", "golden"], "left": []})
    verification = parts.manifest()["verification"]
    assert verification["ran"] == ["files"]
    assert verification["left"] == ["loads: no device here", "golden: not of every shape"]


def test_more_than_five_gigabytes_are_copied_in_ranges(load: Load) -> None:
    ranges = list(load("compile.parts_aws")._ranges((1 << 30) + 1))
    assert ranges == [(0, (512 << 20) - 1), (512 << 20, (1 << 30) - 1), (1 << 30, 1 << 30)]
