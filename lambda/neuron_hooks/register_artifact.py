"""Step of the compile machine after the job: check what it made, then publish it with one write to the registry.

Event: ``{"compile": the machine's input, "job": DescribeProcessingJob's answer}``. Gives ``key``, ``attempt``,
``artifact_uri`` and ``published``: false when the key had an artifact already, of this attempt or of another, which
stays.

:raises ArtifactError: the output is not a whole artifact; nothing is published.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from . import aws, job, log, registry, settings, verification

SETTINGS = settings.load(settings.RegisterArtifact)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    wanted, ran = event["compile"], event["job"]
    key, attempt = wanted["key"], wanted["attempt"]
    prefix = job.artifact_prefix(key, attempt)

    content = aws.read(SETTINGS.artifact_bucket, prefix + verification.MANIFEST, verification.MOST_MANIFEST_BYTES)
    manifest = verification.read_manifest(content, key)
    for file in manifest.files:
        head = aws.head(SETTINGS.artifact_bucket, prefix + file.path)
        if verification.must_be_read(file, head):
            verification.compare(file, aws.sha256(SETTINGS.artifact_bucket, prefix + file.path))

    uri = f"s3://{SETTINGS.artifact_bucket}/{prefix}"
    published = aws.update_item(
        registry.publish(
            SETTINGS.registry_table,
            key,
            attempt=attempt,
            artifact_uri=uri,
            manifest_sha256=hashlib.sha256(content or b"").hexdigest(),
            compile_seconds=manifest.compile_seconds,
            job_name=ran["ProcessingJobName"],
            host=ran["ProcessingResources"]["ClusterConfig"]["InstanceType"],
            now=int(time.time()),
        )
    )
    log.decision(
        "published" if published else "published before",
        key=key,
        execution=wanted["execution_name"],
        attempt=attempt,
        model=wanted["model"],
    )
    return {"key": key, "attempt": attempt, "artifact_uri": uri, "published": published}
