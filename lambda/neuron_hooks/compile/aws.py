"""The calls of the compile path, on the clients of ``aws``: sources, jobs' logs, builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from botocore.exceptions import ClientError

from .. import aws
from ..model_request import Source
from .artifact import SourceError, SourceFile, asset_digest, content, fingerprint, prefix_digest
from .watching import READY

_MOST_SOURCE_FILES = 1000
_JOB_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"


def source(source: Source) -> tuple[str, tuple[SourceFile, ...]]:
    """The digest of a model's files, from what S3 knows about them (see ``artifact``), and those files; of an asset,
    which is one object that holds them, none.

    :raises SourceError: when they are not there, may not be read, or have nothing to tell them by.
    """
    try:
        if source.kind == "asset":
            aws.head_object(source.bucket, source.location)
            return asset_digest(source), ()
        files = tuple(_source_files(source))
        return prefix_digest(source, files), files
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            raise SourceError(f"there is no bucket {source.bucket!r} (the source is {source.uri})") from error
        if code in aws.MISSING:
            raise SourceError(f"there is no object {source.uri}") from error
        if code in ("403", "AccessDenied", "AccessDeniedException"):
            raise SourceError(
                f"{source.uri} may not be read: the bucket's policy or its KMS key refuses the pipeline ({error})"
            ) from error
        raise


def _source_files(source: Source) -> Iterator[SourceFile]:
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=source.bucket, Prefix=source.location)
    count = 0
    for page in pages:
        for found in page.get("Contents", ()):
            path = found["Key"]
            if path.endswith("/"):  # what a console calls a folder: no file comes of it
                continue
            if path == source.location + READY:  # says that an upload is whole, and is no part of it
                continue
            count += 1
            if count > _MOST_SOURCE_FILES:
                raise SourceError(
                    f"there are more than {_MOST_SOURCE_FILES} objects under {source.uri}: give the model's own prefix"
                )
            head = aws.head_object(source.bucket, path)
            mark = fingerprint(source, path, head)
            modified = int(found["LastModified"].timestamp())
            yield SourceFile(path.removeprefix(source.location), found["Size"], mark, content(mark, head), modified)


def job_log_tail(job_name: str, lines: int) -> str:
    """The last lines a processing job printed; empty when it never printed, or its log cannot be read."""
    logs = aws.client("logs")
    try:
        found = logs.describe_log_streams(logGroupName=_JOB_LOG_GROUP, logStreamNamePrefix=f"{job_name}/")
        if not found["logStreams"]:
            return ""
        stream = found["logStreams"][0]["logStreamName"]
        events = logs.get_log_events(logGroupName=_JOB_LOG_GROUP, logStreamName=stream, limit=lines)["events"]
    except ClientError:
        return ""
    return "\n".join(event["message"] for event in events)


def start_build(project: str, token: str, variables: Mapping[str, str]) -> None:
    """Start a build with these variables; the same token again, within five minutes, starts no other."""
    aws.client("codebuild").start_build(
        projectName=project,
        idempotencyToken=token,
        environmentVariablesOverride=[{"name": name, "value": value} for name, value in variables.items()],
    )


def is_there(bucket: str, key: str) -> bool:
    """Whether there is an object of this key, or of one that begins so: listing alone can be allowed by key."""
    return bool(aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"))
