"""What housekeeping asks of S3 and DynamoDB, beside what ``aws`` has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from .. import aws
from .uploads import Stored


def items(table: str) -> list[Mapping[str, Any]]:
    """Every item of the registry. Each is as it is when it is read, which for two may be minutes apart."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def objects(bucket: str, prefix: str) -> Iterator[Stored]:
    """What lies under a prefix; what was deleted does not show."""
    for page in aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", ()):
            yield Stored(found["Key"], found["Size"], found["LastModified"].timestamp())


def delete_objects(bucket: str, prefix: str) -> int:
    """Delete what lies under a prefix; gives how many objects that were.

    :raises RuntimeError: when S3 leaves some; the rest is deleted.
    """
    count, refused = 0, list[str]()
    for page in aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        names = [{"Key": found["Key"]} for found in page.get("Contents", ())]
        if not names:
            continue
        answer = aws.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
        errors = answer.get("Errors", ())
        refused += [f"{one['Key']}: {one.get('Code')} {one.get('Message', '')}" for one in errors]
        count += len(names) - len(errors)
    if refused:
        raise RuntimeError(f"{len(refused)} objects under s3://{bucket}/{prefix} were not deleted; {refused[0]}")
    return count


def compiler_runs(endpoint: str, pattern: str, since: int) -> int:
    """How many lines of an endpoint's log match since then (seconds); 0 where it has no log yet."""
    try:
        pages = (
            aws.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}", startTime=since * 1000, filterPattern=pattern
            )
        )
        return sum(len(page["events"]) for page in pages)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return 0
        raise


def delete_item(request: Mapping[str, Any]) -> bool:
    """Send a conditional DeleteItem request; false when its condition does not hold."""
    try:
        aws.client("dynamodb").delete_item(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True
