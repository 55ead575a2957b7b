"""Files between the embedded S3 and a container's folders, in the name of the role that acts."""

from __future__ import annotations

import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from ..iam import sessions


class TransferError(Exception):
    """A download or an upload that cannot be done, with the reason as a job or an endpoint shows it."""


def _s3() -> Any:
    return _client(sessions.acting.get())


@cache
def _client(caller: sessions.Caller | None) -> Any:
    if caller is None:
        return boto3.client("s3", region_name="us-east-1")
    made = sessions.credentials(caller)
    return boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id=made["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=made["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=made["AWS_SESSION_TOKEN"],
    )


def download_prefix(uri: str, folder: Path) -> None:
    """Every object below ``uri`` into ``folder``; a prefix that is one object's whole key is that object."""
    bucket, prefix = _parts(uri)
    try:
        pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", []) if not item["Key"].endswith("/")]
        if not keys:
            raise TransferError(f"S3 key: {uri} matched no files on s3")
        for key in keys:
            # Relative to the folder that the prefix names, or to the one it ends in when it ends in half a name.
            within = prefix.endswith("/") or key.startswith(f"{prefix}/")
            start = prefix.rstrip("/") if within else prefix.rpartition("/")[0]
            _fetch(bucket, key, _inside(folder, key.removeprefix(start).lstrip("/")))
    except ClientError as error:
        raise TransferError(f"{uri}: {error.response['Error']['Message']}") from error


def download_archive(uri: str, folder: Path) -> None:
    """The ``.tar.gz`` at ``uri``, unpacked into ``folder``."""
    bucket, key = _parts(uri)
    archive = folder / ".archive.tar.gz"
    try:
        _fetch(bucket, key, archive)
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    except ClientError as error:
        raise TransferError(f"{uri}: {error.response['Error']['Message']}") from error
    except tarfile.TarError as error:
        raise TransferError(f"{uri} is not a tar archive: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def upload(folder: Path, uri: str) -> None:
    """Every file below ``folder`` to ``uri``."""
    bucket, prefix = _parts(uri)
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    try:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            _s3().upload_file(str(file), bucket, start + file.relative_to(folder).as_posix())
    except (ClientError, boto3.exceptions.S3UploadFailedError) as error:
        raise TransferError(f"{uri}: {error}") from error


def put(uri: str, content: bytes, content_type: str = "application/octet-stream") -> None:
    """One object. Raises ``TransferError``."""
    bucket, key = _parts(uri)
    try:
        _s3().put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)
    except ClientError as error:
        raise TransferError(f"{uri}: {error.response['Error']['Message']}") from error


def get(uri: str) -> bytes:
    """One object's content. Raises ``TransferError``."""
    bucket, key = _parts(uri)
    try:
        content: bytes = _s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise TransferError(f"{uri}: {error.response['Error']['Message']}") from error
    return content


def _fetch(bucket: str, key: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    _s3().download_file(bucket, key, str(file))


def _parts(uri: str) -> tuple[str, str]:
    parsed = urlsplit(uri)
    return parsed.netloc, parsed.path.lstrip("/")


def _inside(folder: Path, relative: str) -> Path:
    """``relative`` below ``folder``; an object's key may hold anything, ``..`` included."""
    file = Path(os.path.normpath(folder / relative))
    if folder not in file.parents:
        raise TransferError(f"the key {relative} leads out of the folder it is downloaded to")
    return file
