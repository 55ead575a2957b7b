"""Which actions on which resources a request to S3 needs ("Required permissions for Amazon S3 API operations").

The action is ministack's reading of the request; what a request needs beside it is here: the source of a copy, every
key of a batch, the listing that decides between "not found" and "denied", and the bucket's encryption key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions

from .. import patching
from . import keys, resources
from .calls import UnknownOperationError
from .policies import Check

_action = patching.original(iam_actions, "_s3_action")
_READS = ("s3:GetObject", "s3:GetObjectVersion")


def checks(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, Any],
    *,
    region: str,
    account: str,
) -> list[Check]:
    """What the caller must be allowed. ``path`` is decoded, as ASGI has it. Raises ``UnknownOperationError``."""
    name = _action(method, path, dict(query))
    bucket, _, key = path.lstrip("/").partition("/")
    if not name:
        raise UnknownOperationError(
            f"the embedded AWS does not know which rights {method} {path} needs: see neuron_cdk/local/server/iam/s3.py"
        )
    action = f"s3:{name}"
    if not bucket:
        return [Check(action, "*")]
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        if action == "s3:DeleteObject":
            return [Check(action, f"{arn}/{one}") for one in resources.batch_delete(body)]
        return [Check(action, arn, _listing(query) if name.startswith("ListBucket") else {})]
    found = [Check(action, f"{arn}/{key}")]
    if action == "s3:GetObject" and not resources.object_exists(bucket, key):
        # GetObject: "If you don't have the s3:ListBucket permission, Amazon S3 returns … 403 (Access Denied)" for an
        # object that is not there. That the prefix asked for is then the key is inferred: no page says so.
        found.append(Check("s3:ListBucket", arn, {"s3:prefix": key}))
        return found
    source = headers.get("x-amz-copy-source")
    if source and action == "s3:PutObject":
        found += _source(source, region, account)
    parts = "uploadId" in query or "uploads" in query
    named = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    return found + keys.of_object(bucket, action, region, account, parts=parts, key=named)


def _listing(query: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """``s3:prefix``, ``s3:delimiter`` and ``s3:max-keys`` as far as they are given."""
    return {f"s3:{name}": str(first(query[name])) for name in ("prefix", "delimiter", "max-keys") if name in query}


def first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _source(given: str, region: str, account: str) -> list[Check]:
    path, _, version = unquote(given).lstrip("/").partition("?versionId=")
    bucket = path.partition("/")[0]
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    return [Check(action, f"arn:aws:s3:::{path}"), *keys.of_object(bucket, action, region, account)]
