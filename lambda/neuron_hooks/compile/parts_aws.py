"""Copies within the artifact bucket, by S3 itself: nothing passes through the function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from .. import aws

# CopyObject takes at most 5 GB; more goes in parts (S3 User Guide, "Copying an object by using multipart upload").
_MOST_AT_ONCE = 5 * 1000**3
_PIECE = 512 << 20
_AT_ONCE = 8
_READ_TIMEOUT = 300  # S3 answers when the copy is made


def copy(bucket: str, copies: Sequence[tuple[str, str, int]]) -> None:
    """Copy objects: key, key to copy to, size in bytes. What is there already is written again.

    S3 reckons a sha256 of each whole copy on the way, so that what is registered need not be read.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for one in [pool.submit(_copy, bucket, *each) for each in copies]:
            one.result()


def _copy(bucket: str, source: str, target: str, size: int) -> None:
    s3 = aws.client("s3", _READ_TIMEOUT)
    where = {"Bucket": bucket, "Key": target}
    if size <= _MOST_AT_ONCE:
        s3.copy_object(
            **where,
            CopySource={"Bucket": bucket, "Key": source},
            ChecksumAlgorithm="SHA256",
            TaggingDirective="REPLACE",  # copying tags takes rights to them, and there are none
        )
        return
    upload = s3.create_multipart_upload(**where)["UploadId"]
    try:
        done = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part_copy(
                    **where,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource={"Bucket": bucket, "Key": source},
                    CopySourceRange=f"bytes={first}-{last}",
                )["CopyPartResult"]["ETag"],
            }
            for number, (first, last) in enumerate(_ranges(size), 1)
        ]
        s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
    except BaseException:
        s3.abort_multipart_upload(**where, UploadId=upload)  # killed before this, the bucket's lifecycle does it
        raise


def _ranges(size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, size, _PIECE):
        yield first, min(first + _PIECE, size) - 1
