"""What goes wrong at a boot: a bad artifact or a wrong model never serves, AWS that fails costs only time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.instance.machine import KEY, eventually
from tests.instance.model_server import in_service


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_corrupt_artifact_never_serves(instance: Any, bucket: Any, serving: Any) -> None:
    flip(bucket / "batch-4.ort")
    assert instance.start(serving) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "batch-4.ort does not have the sha256 that the manifest gives" in instance.journal
    assert not (instance.root / "opt/neuron-cdk/artifact").exists()
    assert not (instance.root / "docker/run.json").exists()


def test_a_file_that_broke_on_the_way_is_taken_anew(instance: Any, bucket: Any, serving: Any) -> None:
    partial = instance.root / "opt/neuron-cdk/artifact.partial"
    partial.mkdir(parents=True)
    (partial / "batch-1.ort").write_bytes((bucket / "batch-1.ort").read_bytes())
    flip(partial / "batch-1.ort")
    (partial / "batch-1.ort.4cFe").write_bytes(b"half a file of an earlier download")
    assert instance.start(serving) == 0
    assert instance.downloaded.count("batch-1.ort") == 1
    assert not (instance.root / "opt/neuron-cdk/artifact/batch-1.ort.4cFe").exists()


def test_an_artifact_that_went_bad_on_the_disk_is_downloaded_again(up: Any, serving: Any) -> None:
    flip(up.root / "opt/neuron-cdk/artifact/batch-1.ort")
    assert up.reboot() == 0
    assert up.downloaded.count("batch-1.ort") == 2
    assert "what is there is not whole" in up.journal


def test_a_manifest_that_points_outside_the_artifact_touches_nothing_there(
    instance: Any, bucket: Any, serving: Any
) -> None:
    outside = instance.root / "opt/neuron-cdk/precious"
    manifest = json.loads((bucket / "manifest.json").read_text())
    manifest["files"].append({"path": "../precious", "sha256": "0" * 64, "bytes": 1})
    (bucket / "manifest.json").write_text(json.dumps(manifest))
    outside.parent.mkdir(parents=True)
    outside.touch()
    assert instance.start(serving) == 1
    assert outside.exists()
    assert "lists files outside the artifact: ['../precious']" in instance.journal


def test_another_models_artifact_is_not_served(instance: Any, bucket: Any, serving: Any) -> None:
    manifest = json.loads((bucket / "manifest.json").read_text())
    (bucket / "manifest.json").write_text(json.dumps(manifest | {"artifact_key": "cd" * 32}))
    assert instance.start(serving) == 1
    assert f"is of artifact {'cd' * 32}, not of s3://bucket/artifacts/{KEY}/a1/" in instance.journal


@pytest.mark.parametrize(
    "call", ["s3 sync", "autoscaling describe-auto-scaling-instances", "autoscaling complete-lifecycle-action"]
)
def test_a_call_of_aws_that_fails_and_then_works_costs_only_time(
    instance: Any, bucket: Any, serving: Any, call: str
) -> None:
    instance.fail(call, 3)
    assert instance.start(serving) == 0, instance.journal
    assert instance.completed == ["launch CONTINUE"]


def test_an_answer_that_aws_does_not_take_is_given_again(instance: Any, bucket: Any, serving: Any) -> None:
    instance.fail("autoscaling complete-lifecycle-action", 5)
    assert instance.start(serving) == 1  # systemd starts the unit again
    assert "the group was not told" in instance.journal
    assert instance.boot_again() == 0
    assert instance.completed == ["launch CONTINUE"]


def test_a_model_that_refuses_its_own_shapes_never_serves(instance: Any, bucket: Any, serving: Any) -> None:
    manifest = json.loads((bucket / "manifest.json").read_text())
    manifest["inputs"][0]["name"] = "other"
    (bucket / "manifest.json").write_text(json.dumps(manifest))
    assert instance.start(serving) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "the model does not answer as it should: status 400" in instance.journal
    assert instance.get(serving.server.health_port) != 200


def golden(bucket: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the golden examples of an artifact, and its manifest with them."""
    document = json.loads((bucket / "golden.json").read_text())
    change(document)
    (bucket / "golden.json").write_text(json.dumps(document))
    manifest = json.loads((bucket / "manifest.json").read_text())
    (entry,) = (one for one in manifest["files"] if one["path"] == "golden.json")
    entry["sha256"] = hashlib.sha256((bucket / "golden.json").read_bytes()).hexdigest()
    (bucket / "manifest.json").write_text(json.dumps(manifest))


def test_a_model_that_answers_otherwise_than_its_golden_examples_never_serves(
    instance: Any, bucket: Any, serving: Any
) -> None:
    def expect_more(document: dict[str, Any]) -> None:
        document["examples"][-1]["outputs"]["target_label"][0][7] += 0.5

    golden(bucket, expect_more)
    assert instance.start(serving) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "the model does not answer as it should: output 'target_label' is off by more than" in instance.journal
    assert instance.get(serving.server.health_port) != 200


def test_a_model_whose_artifact_has_no_examples_is_asked_for_zeros(instance: Any, bucket: Any, serving: Any) -> None:
    manifest = json.loads((bucket / "manifest.json").read_text())
    manifest["files"] = [one for one in manifest["files"] if one["path"] != "golden.json"]
    (bucket / "manifest.json").write_text(json.dumps(manifest))
    (bucket / "golden.json").unlink()
    in_service(instance, serving)
    assert instance.completed == ["launch CONTINUE"]


def test_the_group_hears_that_a_long_boot_goes_on(instance: Any, bucket: Any, serving: Any) -> None:
    hold = instance.root / "aws/hold"
    hold.touch()
    instance.install(serving)
    instance.systemctl("start", "neuron-boot.service")
    eventually(lambda: len(instance.aws_calls("autoscaling", "record-lifecycle-action-heartbeat")) > 1, "heartbeats")
    hold.unlink()
    assert instance.ended("neuron-boot") == 0
