"""What the hooks take from a manifest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuron_hooks import manifests

KEY = "ab" * 32


def manifest(**more: Any) -> bytes:
    files = [{"path": "batch-1.ort", "sha256": "00" * 32, "bytes": 7}]
    return json.dumps({"schema": 1, "artifact_key": KEY, "compile_seconds": 12.5, "files": files} | more).encode()


def test_what_the_job_verified_is_handed_over() -> None:
    verified = {"ran": ["files", "loads", "golden"], "left": [], "examples": 2, "max_error": 2.5e-7}
    read = manifests.read_manifest(manifest(verification=verified), KEY)
    assert read.verification == verified
    assert read.max_error == 2.5e-7


def test_what_could_not_run_has_no_error() -> None:
    left = {"ran": ["files"], "left": ["loads: no device"]}
    assert manifests.read_manifest(manifest(verification=left), KEY).max_error is None


def test_a_manifest_of_before_has_no_verification() -> None:
    read = manifests.read_manifest(manifest(), KEY)
    assert (read.verification, read.max_error) == ({}, None)


@pytest.mark.parametrize("odd", [[], "golden", {"max_error": "much"}])
def test_a_verification_that_is_none_is_refused(odd: Any) -> None:
    with pytest.raises(manifests.ArtifactError, match=r"manifest\.json cannot be read"):
        manifests.read_manifest(manifest(verification=odd), KEY)
