"""Step of the compile machine for an artifact that is joined from parts: copy their files, write one manifest.

Event: ``{"compile": the compile machine's input}`` whose ``join`` lists the parts: ``key``, ``attempt``,
``artifact_uri``, ``batch_size``, ``sequence_length``. Gives ``files`` and ``bytes``: how many were copied, how large.

Everything is copied from S3 to S3, to the attempt's own prefix, which nobody reads until ``register_artifact`` has
checked and published it. The manifest comes last, as a job's does. Killed half-way and called again, the same is copied
again and the same manifest written.

:raises ArtifactError: the parts do not fit together, or one is gone.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .. import aws, log, manifests, settings
from ..manifests import ArtifactError
from . import job, joining, parts_aws
from .joining import Part

SETTINGS = settings.load(settings.JoinParts)


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    wanted = event["compile"]
    bucket, key = SETTINGS.artifact_bucket, wanted["key"]
    prefix = job.artifact_prefix(key, wanted["attempt"])
    parts = [_read(bucket, part) for part in wanted["join"]]
    plan = joining.plan(key, parts)

    copies = [(part.prefix + file.path, prefix + target, file.size) for part, file, target in plan.copies]
    parts_aws.copy(bucket, copies)
    written = []
    for path, content in _texts(bucket, parts, plan).items():
        aws.write(bucket, prefix + path, content)
        written.append({"path": path, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)})
    files = sorted([*plan.files, *written], key=lambda file: str(file["path"]))
    manifest = json.dumps({**plan.manifest, "files": files}, indent=1) + "\n"
    aws.write(bucket, prefix + manifests.MANIFEST, manifest.encode())
    log.decision(
        "joined",
        key=key,
        execution=wanted["execution_name"],
        model=wanted["model"],
        parts=[part.key for part in parts],
        files=len(files),
    )
    return {"files": len(files), "bytes": sum(size for _, _, size in copies)}


def _read(bucket: str, told: dict[str, Any]) -> Part:
    prefix = job.artifact_prefix(told["key"], told["attempt"])
    content = aws.read(bucket, prefix + manifests.MANIFEST, manifests.MOST_MANIFEST_BYTES)
    manifest = manifests.read_manifest(content, told["key"])
    return Part(
        key=told["key"],
        attempt=told["attempt"],
        prefix=prefix,
        batch_size=told["batch_size"],
        sequence_length=told["sequence_length"],
        document=json.loads(content or b"{}"),
        files=manifest.files,
    )


def _texts(bucket: str, parts: list[Part], plan: joining.Plan) -> dict[str, bytes]:
    """The small files that are made of those of the parts."""
    golden = []
    for part in parts:
        if any(file.path == joining.GOLDEN for file in part.files):
            content = aws.read(bucket, part.prefix + joining.GOLDEN, joining.MOST_GOLDEN_BYTES)
            if content is None:
                raise ArtifactError(f"{joining.GOLDEN} of part {part.key} is gone")
            golden.append(content)
    texts = {joining.LOG: plan.log.encode()}
    return texts | ({joining.GOLDEN: joining.golden(golden)} if golden else {})
