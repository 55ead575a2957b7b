"""What a job left behind is checked, then published with one write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
JOB = {
    "ProcessingJobName": "job-0",
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}},
}


class Attempt:
    """An attempt's output in S3, and the hook to register it."""

    def __init__(self, load: Load, aws: Any, wanted: dict[str, Any]) -> None:
        self._module, self._aws, self.wanted = load("compile.register_artifact"), aws, wanted
        self.ran: dict[str, Any] = {}
        self.plan: dict[str, Any] | None = None
        self.files = {"batch-1.ort": b"program", "compile.log": b"log"}
        self.manifest: dict[str, Any] = {
            "schema": 1,
            "artifact_key": wanted["key"],
            "compile_seconds": 12.5,
        }
        self.list_files()

    def list_files(self) -> None:
        self.manifest["files"] = [
            {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            for path, body in self.files.items()
        ]

    def upload(self, **more: Any) -> None:
        prefix = f"artifacts/{self.wanted['key']}/{self.wanted['attempt']}/"
        for path, body in self.files.items():
            self._aws.put("artifacts", prefix + path, body, **more)
        self._aws.put("artifacts", prefix + "manifest.json", json.dumps(self.manifest).encode())

    def register(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._module.handler(
            {"compile": self.wanted, "job": JOB | self.ran, "plan": self.plan}, None
        )
        return answer


@pytest.fixture
def attempt(load: Load, aws: Any, compile_input: dict[str, Any]) -> Attempt:
    aws.set(
        compile_input["key"], state="compiling", attempt="a1", lease_owner="r", lease_expires=9999999999, model="minilm"
    )
    return Attempt(load, aws, compile_input)


@pytest.fixture
def refused(load: Load) -> type[Exception]:
    error: type[Exception] = load("manifests").ArtifactError
    return error


def test_a_whole_artifact_is_published(attempt: Attempt, aws: Any) -> None:
    attempt.upload()
    answer = attempt.register()
    key = attempt.wanted["key"]
    item = aws.item(key)
    assert answer["published"] is True
    assert {name: item[name] for name in ("state", "artifact_uri", "compile_seconds", "job_name", "host", "model")} == {
        "state": "ready",
        "artifact_uri": f"s3://artifacts/artifacts/{key}/a1/",
        "compile_seconds": "12.5",
        "job_name": "job-0",
        "host": "ml.m5.large",
        "model": "minilm",
    }
    assert item["manifest_sha256"] == hashlib.sha256(json.dumps(attempt.manifest).encode()).hexdigest()
    assert "lease_owner" not in item


def test_a_compile_costs_what_the_chosen_host_does_and_what_was_tried_before(attempt: Attempt, aws: Any) -> None:
    attempt.upload()
    attempt.ran = {
        "ProcessingResources": {"ClusterConfig": {"SelectedInstanceType": "ml.m5.large"}},
        "ProcessingStartTime": 1_800_000_000_000,
        "ProcessingEndTime": 1_800_003_600_000,
    }
    attempt.plan = {"usd": 0.01, "job_seconds": 300}
    attempt.register()
    item = aws.item(attempt.wanted["key"])
    assert (item["host"], item["usd"], item["job_seconds"]) == ("ml.m5.large", "0.125", "3900.0")


def test_a_cost_without_a_price_is_left_out_and_the_seconds_that_are_billed_are_not(
    attempt: Attempt, aws: Any, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(load("model_events"), "tell", lambda _name, **facts: told.append(facts))
    attempt.upload()
    attempt.ran = {
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.xlarge"}},
        "ProcessingStartTime": 1_800_000_000_000,
        "ProcessingEndTime": 1_800_000_061_500,
    }
    attempt.register()
    item = aws.item(attempt.wanted["key"])
    assert "usd" not in item
    assert (item["host"], item["job_seconds"]) == ("ml.m5.xlarge", "61.5")
    assert (told[0]["host"], told[0]["job_seconds"]) == ("ml.m5.xlarge", 61.5)


def test_what_is_published_is_in_use_and_links_its_log(attempt: Attempt, aws: Any) -> None:
    attempt.upload()
    attempt.register()
    item = aws.item(attempt.wanted["key"])
    assert item["last_used"] == item["registered_at"] == item["users_since"]
    assert item["log_url"].endswith("job-0")


def test_the_verification_is_in_the_registry(attempt: Attempt, aws: Any) -> None:
    attempt.manifest["verification"] = {"ran": ["files", "loads"], "left": [], "max_error": 1e-6}
    attempt.upload()
    attempt.register()
    assert json.loads(aws.item(attempt.wanted["key"])["verification"])["ran"] == ["files", "loads"]


def test_a_mirror_has_a_digest_of_the_repository_and_not_of_the_log(attempt: Attempt, load: Load, aws: Any) -> None:
    attempt.wanted = {**attempt.wanted, "engine": "mirror"}
    attempt.files = {"repository/model.safetensors": b"weights", "compile.log": b"log"}
    attempt.list_files()
    attempt.upload()
    attempt.register()
    sha256 = hashlib.sha256(b"weights").hexdigest()
    digest = load("compile.artifact").files_digest([("repository/model.safetensors", 7, sha256)])
    assert aws.item(attempt.wanted["key"])["content_digest"] == digest


def test_the_same_event_twice_changes_nothing(attempt: Attempt, aws: Any) -> None:
    attempt.upload()
    attempt.register()
    item = aws.item(attempt.wanted["key"])
    assert attempt.register()["published"] is False
    assert aws.item(attempt.wanted["key"]) == item


def test_the_first_of_two_attempts_stays(attempt: Attempt, aws: Any) -> None:
    attempt.upload()
    attempt.register()
    attempt.wanted = {**attempt.wanted, "attempt": "a2"}
    attempt.upload()
    assert attempt.register()["published"] is False
    assert aws.item(attempt.wanted["key"])["attempt"] == "a1"


def test_content_that_s3_has_a_sha256_of_is_not_read(attempt: Attempt, load: Load, aws: Any) -> None:
    attempt.upload(ChecksumAlgorithm="SHA256")
    read: list[str] = []
    load("aws").client("s3").meta.events.register(
        "provide-client-params.s3.GetObject", lambda params, **_: read.append(params["Key"].rpartition("/")[2])
    )
    attempt.register()
    assert read == ["manifest.json"]


@pytest.mark.parametrize("checksum", [{}, {"ChecksumAlgorithm": "SHA256"}], ids=["read", "checksum"])
def test_other_content_of_the_same_size_is_refused(
    attempt: Attempt, refused: type[Exception], aws: Any, checksum: dict[str, str]
) -> None:
    attempt.files["batch-1.ort"] = b"PROGRAM"
    attempt.upload(**checksum)
    with pytest.raises(refused, match=r"batch-1\.ort does not have the sha256"):
        attempt.register()
    assert aws.item(attempt.wanted["key"])["state"] == "compiling"


def test_content_too_large_to_read_must_have_its_size(attempt: Attempt, refused: type[Exception], load: Load) -> None:
    verification = load("manifests")
    huge = verification.File("model.neff", "00" * 32, verification.MOST_READ_BYTES + 1)
    assert verification.must_be_read(huge, {"ContentLength": huge.size}) is False
    with pytest.raises(refused, match=r"model\.neff has 5 bytes"):
        verification.must_be_read(huge, {"ContentLength": 5})


def test_a_missing_file_is_refused(attempt: Attempt, refused: type[Exception]) -> None:
    del attempt.files["batch-1.ort"]
    attempt.upload()
    with pytest.raises(refused, match=r"batch-1\.ort is missing"):
        attempt.register()


def test_a_job_that_wrote_no_manifest_is_refused(attempt: Attempt, refused: type[Exception]) -> None:
    with pytest.raises(refused, match=r"without writing manifest\.json"):
        attempt.register()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"artifact_key": "cd" * 32}, "is of artifact cdcd"),
        ({"schema": 2}, "is of schema 2"),
        ({"files": []}, "lists no file"),
        ({"files": [{"path": "../secret", "sha256": "0", "bytes": 1}]}, "outside the artifact"),
        ({"files": [{"path": "x"}]}, "cannot be read"),
    ],
    ids=["another key", "another schema", "nothing", "escape", "incomplete"],
)
def test_a_manifest_of_something_else_is_refused(
    attempt: Attempt, refused: type[Exception], changed: dict[str, Any], message: str
) -> None:
    attempt.manifest |= changed
    attempt.upload()
    with pytest.raises(refused, match=message):
        attempt.register()
