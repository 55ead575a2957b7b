"""What is asked of S3 about a watched source."""

from __future__ import annotations

from . import aws


def is_there(bucket: str, key: str) -> bool:
    """Whether there is an object of this key, or of one that begins so: listing alone can be allowed by key."""
    return bool(aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"))
