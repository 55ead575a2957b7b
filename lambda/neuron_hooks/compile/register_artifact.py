"""Step of the compile machine after the job: check what it made, then publish it with one write to the registry.

Event: ``{"compile": the machine's input, "job": DescribeProcessingJob's answer, "plan": the try that made it}``; for
what was joined from parts ``job`` is ``join_parts``'s answer. Gives ``key``, ``attempt``, ``artifact_uri`` and
``published``: false when the key had an artifact already, of this attempt or of another, which stays.

:raises ArtifactError: the output is not a whole artifact; nothing is published.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import Any

from .. import aws, log, manifests, model_events, registry, settings
from ..manifests import Manifest
from . import artifact, cost, failure, job

SETTINGS = settings.load(settings.RegisterArtifact)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    wanted, ran = event["compile"], event["job"]
    key, attempt = wanted["key"], wanted["attempt"]
    prefix = job.artifact_prefix(key, attempt)

    content = aws.read(SETTINGS.artifact_bucket, prefix + manifests.MANIFEST, manifests.MOST_MANIFEST_BYTES)
    manifest = manifests.read_manifest(content, key)
    for file in manifest.files:
        head = aws.head(SETTINGS.artifact_bucket, prefix + file.path)
        if manifests.must_be_read(file, head):
            manifests.compare(file, aws.sha256(SETTINGS.artifact_bucket, prefix + file.path))

    uri = f"s3://{SETTINGS.artifact_bucket}/{prefix}"
    made_by = _of_parts(wanted) if "join" in wanted else _of_job(wanted, ran, event.get("plan"))
    published = aws.update_item(
        registry.publish(
            SETTINGS.registry_table,
            key,
            {
                "artifact_uri": uri,
                "manifest_sha256": hashlib.sha256(content or b"").hexdigest(),
                "compile_seconds": manifest.compile_seconds,
                "verification": json.dumps(dict(manifest.verification), sort_keys=True),
                **({"content_digest": _digest(manifest)} if wanted.get("engine") == artifact.MIRROR else {}),
                **made_by,
            },
            attempt=attempt,
            now=int(time.time()),
        )
    )
    if published:
        _tell(wanted, uri, manifest, made_by)
    else:
        log.decision("published before", key=key, execution=wanted["execution_name"], attempt=attempt)
    return {"key": key, "attempt": attempt, "artifact_uri": uri, "published": published}


def _of_job(wanted: dict[str, Any], ran: dict[str, Any], plan: dict[str, Any] | None) -> dict[str, Any]:
    host, name = failure.host(ran), ran["ProcessingJobName"]
    usd = cost.total(plan, cost.of(failure.seconds(ran), cost.price(wanted, host)))
    made_by = {
        "job_name": name,
        "host": host,
        "job_seconds": cost.seconds(plan, failure.seconds(ran)),
        "log_url": failure.log_url(os.environ.get("AWS_REGION", ""), name),
    }
    return made_by | ({} if usd is None else {"usd": usd})


def _of_parts(wanted: dict[str, Any]) -> dict[str, Any]:
    """No job, no host, and nothing to pay that the parts' own items do not have."""
    return {"parts": sorted(part["key"] for part in wanted["join"])}


def _digest(manifest: Manifest) -> str:
    """Of the files of a repository, whatever beside them lies in its mirror."""
    inside = [file for file in manifest.files if "/" in file.path]
    return artifact.files_digest((file.path, file.size, file.sha256) for file in inside)


def _tell(wanted: dict[str, Any], uri: str, manifest: Manifest, made_by: dict[str, Any]) -> None:
    facts = {name: wanted.get(name) for name in ("attempt", "trigger", "engine", "target", "sdk")}
    if "join" not in wanted:  # the minutes of the parts were told when they were ready
        facts |= {"compile_seconds": manifest.compile_seconds, "usd": made_by.get("usd")}
        facts |= {name: made_by[name] for name in ("host", "job_seconds")}
    model_events.tell(
        "ready",
        key=wanted["key"],
        execution=wanted["execution_name"],
        model=wanted["model"],
        artifact_uri=uri,
        max_error=manifest.max_error,
        log_url=made_by.get("log_url"),
        **facts,
    )
