"""Whether what lies in S3 is what the manifest says a job made. Pure: facts about objects come in, refusals go out."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 1 << 20
_SCHEMA = 1
# A hook reads what is no larger than this. Larger files are compared by size when S3 has no sha256 of them, and by
# sha256 by the container that loads them, before it does.
MOST_READ_BYTES = 64 << 20


class ArtifactError(Exception):
    """The job's output is not a whole artifact."""


@dataclass(frozen=True)
class File:
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """``verification``: what the job checked and what it left, as it wrote it; empty in manifests of before 0.2.

    ``max_error``: the largest error of the golden examples, as a part of the output's largest value; None where the
    programs did not run on the job's host.
    """

    compile_seconds: float
    files: tuple[File, ...]
    verification: Mapping[str, Any]
    max_error: float | None


def read_manifest(content: bytes | None, key: str) -> Manifest:
    """Read a manifest and check that it is this artifact's.

    :raises ArtifactError: when there is none, it cannot be read, or it is another artifact's.
    """
    if content is None:
        raise ArtifactError(f"the job ended without writing {MANIFEST}")
    try:
        document: dict[str, Any] = json.loads(content)
        schema, artifact_key = document["schema"], document["artifact_key"]
        verification: dict[str, Any] = document.get("verification", {})
        max_error = verification.get("max_error")
        manifest = Manifest(
            compile_seconds=float(document["compile_seconds"]),
            files=tuple(File(entry["path"], entry["sha256"], int(entry["bytes"])) for entry in document["files"]),
            verification=verification,
            max_error=None if max_error is None else float(max_error),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{MANIFEST} cannot be read: {error!r}") from error
    if schema != _SCHEMA:
        raise ArtifactError(f"{MANIFEST} is of schema {schema!r}; the hooks read schema {_SCHEMA}")
    if artifact_key != key:
        raise ArtifactError(f"{MANIFEST} is of artifact {artifact_key}, not of {key}")
    if not manifest.files:
        raise ArtifactError(f"{MANIFEST} lists no file")
    for file in manifest.files:
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise ArtifactError(f"{MANIFEST} lists {file.path!r}, outside the artifact")
    return manifest


def must_be_read(file: File, head: Mapping[str, Any] | None) -> bool:
    """Compare an object with the manifest's entry; true when only its content can tell, and it is small enough to read.

    :raises ArtifactError: when it is missing or differs.
    """
    if head is None:
        raise ArtifactError(f"{file.path} is missing")
    if head["ContentLength"] != file.size:
        raise ArtifactError(f"{file.path} has {head['ContentLength']} bytes; the manifest says {file.size}")
    checksum = head.get("ChecksumSHA256", "")
    if checksum and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in checksum:
        compare(file, base64.b64decode(checksum).hex())
        return False
    return file.size <= MOST_READ_BYTES


def compare(file: File, sha256: str) -> None:
    """:raises ArtifactError: when the digests differ."""
    if sha256 != file.sha256:
        raise ArtifactError(f"{file.path} does not have the sha256 that the manifest gives")
