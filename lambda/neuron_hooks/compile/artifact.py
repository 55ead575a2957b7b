"""The artifact key, computed here and nowhere else.

The key is the sha256, in hexadecimal, over a JSON document in one canonical form: names sorted, no spaces, ASCII only.
It holds everything that decides what a compiler makes, and nothing else (a model's name, a time limit, a host change
nothing)::

    {"batch_sizes": [1, 4], "compiler_args": ["-O2"], "dtype": "bf16", "engine": "torch-neuronx",
     "image": "sha256:…" or, when the image has no digest, its reference,
     "schema": 1, "sdk": "2.31.1", "sequence_lengths": [128], "source": "…", "target": "inf2",
     "task": "feature-extraction", "tensor_parallel": 1}

``task`` is there because it decides which head of a Hugging Face model is traced. ``schema`` is raised when the jobs
come to make something else of the same request.

``source`` is the digest of the model's files. For an asset it is the content hash that the CDK makes its object's key
of. For an S3 prefix it is the sha256 over the canonical JSON list of ``[path below the prefix, size in bytes,
fingerprint]``, sorted by path. Nothing is downloaded for it: a fingerprint is the first of these that S3 knows about an
object,

1. ``sha256:…`` or ``crc64nvme:…``, a checksum of the whole object (``ChecksumType`` ``FULL_OBJECT``),
2. ``etag:…``, where the object was uploaded in one part,
3. ``version:…``, its version id, where the bucket keeps versions.

The first depends on content alone, and so does the second where S3 or nobody encrypts (it is an MD5). Otherwise a
fingerprint names one upload: the same file uploaded again is compiled again, but different files never share a key.

A Hugging Face repository is mirrored first. The mirror is an artifact too, whose key holds what decides what is fetched
and nothing else::

    {"engine": "mirror", "include": ["*.bin"], "repository": "org/name", "revision": "<40 digits>", "schema": 1}

and ``source``, of what is compiled from it, is the digest of the mirror's files: paths, sizes, sha256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model_request import ModelRequest, Source

MIRROR = "mirror"
"""The engine that fetches a Hugging Face repository."""
_SCHEMA = 1


class SourceError(Exception):
    """The model's files are not there, or S3 knows too little about them. The message says what to do."""


@dataclass(frozen=True)
class SourceFile:
    """One object: its path below the prefix, its size, what stands for its content, and the digest of its content in
    the form that a job can make of what it gets, or "" where S3 knows none.
    """

    path: str
    size: int
    fingerprint: str
    content: str = ""
    modified: int = 0
    """Seconds since the epoch."""


def key(model: ModelRequest, source: str) -> str:
    """The artifact key (64 hexadecimal digits) of a request whose source has this digest; a mirror's needs none."""
    if model.engine == MIRROR:
        return mirror_key(model.source)
    return _digest(
        {
            "schema": _SCHEMA,
            "source": source,
            "task": model.task,
            "engine": model.engine,
            "target": model.target,
            "sdk": model.sdk,
            "image": model.image_digest or model.image,
            "dtype": model.dtype,
            "batch_sizes": model.batch_sizes,
            "sequence_lengths": model.sequence_lengths,
            "tensor_parallel": model.tensor_parallel,
            "compiler_args": model.compiler_args,
            # What is let in decides whether there is an artifact at all. Left out where nothing is, as it always was.
            **({"include": model.source.include} if model.source.include else {}),
        }
    )


def mirror_key(source: Source) -> str:
    """The artifact key of the mirror of a Hugging Face source."""
    return _digest(
        {
            "schema": _SCHEMA,
            "engine": MIRROR,
            "repository": source.repository,
            "revision": source.revision,
            "include": source.include,
        }
    )


def files_digest(files: Iterable[tuple[str, int, str]]) -> str:
    """The digest of files whose path, size in bytes and sha256 are known."""
    return _digest(sorted(files))


def asked(model: ModelRequest) -> str:
    """What stands for the request itself: its source by address, whatever lies there now. Never an artifact's key."""
    return key(model, model.source.uri)


def prefix_digest(source: Source, files: Iterable[SourceFile]) -> str:
    """The digest of the files under a prefix.

    :raises SourceError: when there are none.
    """
    entries = sorted((file.path, file.size, file.fingerprint) for file in files)
    if not entries:
        raise SourceError(f"there is no object under {source.uri}: upload the model there, or correct the prefix")
    return _digest(entries)


def asset_digest(source: Source) -> str:
    """The content hash in the name of a CDK asset.

    :raises SourceError: when the key is not one that the CDK gives.
    """
    found = re.search(r"(?:^|/)([0-9a-f]{64})\.zip$", source.location)
    if not found:
        raise SourceError(f"{source.uri} is not a CDK asset: its key must end in <sha256>.zip")
    return found.group(1)


def fingerprint(source: Source, path: str, head: Mapping[str, Any]) -> str:
    """What stands for an object's content, from HeadObject's answer with ``ChecksumMode`` ``ENABLED``.

    :raises SourceError: when S3 knows nothing that tells this content from another.
    """
    if head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        for algorithm in ("SHA256", "CRC64NVME"):
            value = head.get(f"Checksum{algorithm}", "")
            if value and "-" not in value:  # "…-3": a checksum of three parts' checksums
                return f"{algorithm.lower()}:{value}"
    etag = str(head.get("ETag", "")).strip('"')
    if etag and "-" not in etag:
        return f"etag:{etag}"
    version = head.get("VersionId", "null")
    if version != "null":
        return f"version:{version}"
    raise SourceError(
        f"S3 knows no checksum of s3://{source.bucket}/{path}, which came in parts to a bucket without versions: "
        "upload it again with a current AWS CLI, or turn versioning on"
    )


def content(fingerprint: str, head: Mapping[str, Any]) -> str:
    """The fingerprint where it is of the content: ``sha256:…``, ``crc64nvme:…`` in base 64, ``md5:…`` in hexadecimal.

    An ETag is the MD5 of the content unless the object is encrypted under a KMS key (S3 API Reference, "Object").
    """
    kind, _, value = fingerprint.partition(":")
    if kind == "etag" and head.get("ServerSideEncryption", "AES256") == "AES256":
        return f"md5:{value}"
    return fingerprint if kind in ("sha256", "crc64nvme") else ""


def _digest(document: object) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
