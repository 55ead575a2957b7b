"""What the artifact key depends on, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture
def key(load: Load) -> Callable[..., str]:
    def compute(model: dict[str, Any], source: str = "digest", **changed: Any) -> str:
        parsed = load("model_request").parse({**model, **changed})
        computed: str = load("compile.artifact").key(parsed, source)
        return computed

    return compute


def test_key_is_a_sha256_that_stays_the_same_from_release_to_release(key: Any, model: dict[str, Any]) -> None:
    # A change here recompiles everything everybody has: raise the schema on purpose, never by accident.
    assert key(model) == "b8ea30641986e3569bea572ed08e30a5bcd309e425f94daf41ecfa567e24f5d6"


@pytest.mark.parametrize(
    "changed",
    [
        {"Task": "text-classification"},
        {"Engine": "neuronx-cc"},
        {"Target": "trn1"},
        {"Sdk": "2.31.0"},
        {"Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/other:1"},
        {"ImageDigest": "sha256:" + "0" * 64},
        {"Dtype": "fp32"},
        {"BatchSizes": ["1"]},
        {"SequenceLengths": []},
        {"TensorParallel": "2"},
        {"CompilerArgs": ["-O1"]},
        {"CompilerArgs": ["-O2", "--enable-saturate-infinity"]},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_key_changes_with_everything_that_decides_the_output(
    key: Any, model: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert key(model, **changed) != key(model)


def test_key_changes_with_the_source(key: Any, model: dict[str, Any]) -> None:
    assert key(model, source="other") != key(model)


@pytest.mark.parametrize(
    "changed",
    [
        {"Name": "other"},
        {"TimeoutMinutes": "10"},
        {"Hosts": ["ml.c5.4xlarge"]},
        {"VolumeSizeGb": "500"},
        {"BatchSizes": ["1", "4"]},
        {"BatchSizes": [1, 4, 4]},
        {"TensorParallel": 1},
    ],
    ids=lambda changed: f"{changed}",
)
def test_key_stays_with_what_changes_nothing(key: Any, model: dict[str, Any], changed: dict[str, Any]) -> None:
    assert key(model, **changed) == key(model)


def test_an_image_digest_makes_the_tag_irrelevant(key: Any, model: dict[str, Any]) -> None:
    digest = "sha256:" + "1" * 64
    assert key(model, ImageDigest=digest) == key(model, ImageDigest=digest, Image=model["Image"] + "-moved")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"ChecksumSHA256": "s=", "ChecksumType": "FULL_OBJECT", "ETag": '"e"'}, "sha256:s="),
        ({"ChecksumCRC64NVME": "c=", "ChecksumType": "FULL_OBJECT", "VersionId": "v"}, "crc64nvme:c="),
        ({"ChecksumSHA256": "s=-3", "ChecksumType": "COMPOSITE", "ETag": '"e-3"', "VersionId": "v"}, "version:v"),
        ({"ChecksumCRC32": "weak", "ChecksumType": "FULL_OBJECT", "ETag": '"e"', "VersionId": "v"}, "etag:e"),
        ({"ETag": '"e-3"', "VersionId": "v"}, "version:v"),
        ({"ETag": '"e"', "VersionId": "null"}, "etag:e"),
    ],
    ids=["sha256", "crc64", "composite", "crc32-is-too-weak", "multipart-versioned", "single-part"],
)
def test_fingerprint_is_the_best_that_s3_knows(load: Load, head: dict[str, str], expected: str) -> None:
    source = load("model_request").Source("s3", "models", "minilm/")
    assert load("compile.artifact").fingerprint(source, "minilm/model.pt", head) == expected


def test_an_object_that_s3_cannot_tell_from_another_is_refused(load: Load) -> None:
    artifact, source = load("compile.artifact"), load("model_request").Source("s3", "models", "minilm/")
    with pytest.raises(artifact.SourceError, match=r"no checksum of s3://models/minilm/model\.pt.*turn versioning on"):
        artifact.fingerprint(source, "minilm/model.pt", {"ETag": '"e-3"', "VersionId": "null"})


def test_an_asset_is_told_by_the_hash_in_its_key(load: Load) -> None:
    source = load("model_request").Source("asset", "assets", f"prefix/{'c' * 64}.zip")
    assert load("compile.artifact").asset_digest(source) == "c" * 64


def test_an_object_that_is_no_asset_is_refused(load: Load) -> None:
    artifact, source = load("compile.artifact"), load("model_request").Source("asset", "assets", "model.zip")
    with pytest.raises(artifact.SourceError, match=r"must end in <sha256>\.zip"):
        artifact.asset_digest(source)


class TestSourceDigest:
    """From the objects under a prefix, against S3."""

    def digest(self, load: Load, prefix: str = "minilm/") -> str:
        digest: str = load("compile.aws").source(load("model_request").Source("s3", "models", prefix))[0]
        return digest

    def test_same_files_elsewhere_and_later_have_the_same_digest(self, load: Load, aws: Any) -> None:
        for prefix in ("minilm/", "copy/"):
            aws.put("models", f"{prefix}config.json", b"{}")
            aws.put("models", f"{prefix}model.pt", b"weights", ChecksumAlgorithm="SHA256")
        assert self.digest(load) == self.digest(load, "copy/")

    @pytest.mark.parametrize(
        ("key", "body"),
        [("minilm/model.pt", b"WEIGHTS"), ("minilm/more.json", b"{}")],
        ids=["content", "another file"],
    )
    def test_a_change_changes_it(self, load: Load, aws: Any, key: str, body: bytes) -> None:
        aws.put("models", "minilm/model.pt", b"weights")
        before = self.digest(load)
        aws.put("models", key, body)
        assert self.digest(load) != before

    def test_a_folder_marker_is_no_file(self, load: Load, aws: Any) -> None:
        aws.put("models", "minilm/model.pt", b"weights")
        before = self.digest(load)
        aws.put("models", "minilm/", b"")
        assert self.digest(load) == before

    def test_an_empty_prefix_is_one_clear_error(self, load: Load, aws: Any) -> None:
        with pytest.raises(
            load("compile.artifact").SourceError, match="no object under s3://models/minilm/: upload the model"
        ):
            self.digest(load)

    def test_a_missing_bucket_is_one_clear_error(self, load: Load, aws: Any) -> None:
        source = load("model_request").Source("s3", "nowhere", "minilm/")
        with pytest.raises(load("compile.artifact").SourceError, match="there is no bucket 'nowhere'"):
            load("compile.aws").source(source)

    def test_a_missing_asset_is_one_clear_error(self, load: Load, aws: Any) -> None:
        source = load("model_request").Source("asset", "assets", f"{'c' * 64}.zip")
        with pytest.raises(load("compile.artifact").SourceError, match="there is no object s3://assets/c"):
            load("compile.aws").source(source)

    def test_nothing_is_downloaded(self, load: Load, aws: Any) -> None:
        aws.put("models", "minilm/model.pt", b"weights")
        client, calls = load("aws").client("s3"), []
        client.meta.events.register("before-call.s3.*", lambda model, **_: calls.append(model.name))
        self.digest(load)
        assert sorted(set(calls)) == ["HeadObject", "ListObjectsV2"]
