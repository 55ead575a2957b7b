"""Clients of boto3, and the calls that several packages make; those of one are in its own ``aws``.

Clients are made on first use: a handler pays for those it needs. All else is tested without AWS; what is here, and in
the packages' ``aws``, is thin enough to be read.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

# S3 gives CRC64NVME and ChecksumType since botocore 1.36.0; an older one drops both silently, and every artifact key
# with them.
_LEAST_BOTOCORE = (1, 36, 0)
_CHUNK = 1 << 20
# Seconds, beside those that boto3 waits: a stack must not fail because many were deployed at once. Tried for so long,
# a hook still answers within its minute.
_PAUSES = (2, 5, 10)
_PATIENCE = 30
MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
# What is no answer to the question that was asked: asked again, it may be answered.
_PASSING = (
    "ConcurrentUpdateException",
    "FailedResourceAccessException",  # the service-linked role is new
    "InternalDependencyException",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceException",
    "InternalServiceFault",
    "LimitExceededFault",
    "ModelNotReadyException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ResourceContention",
    "ServiceUnavailable",
    "SlowDown",
    "TooManyRequestsException",
)


T = TypeVar("T")


class BotocoreError(Exception):
    """The runtime's botocore is too old for the calls made here."""


def check_botocore(version: str) -> None:
    """Refuse to start on a botocore that would answer with less than is needed (``docs/adr/0004-boto3-in-lambda.md``).

    :raises BotocoreError: naming both versions.
    """
    if tuple(int(part) for part in version.split(".")[:3]) < _LEAST_BOTOCORE:
        least = ".".join(map(str, _LEAST_BOTOCORE))
        raise BotocoreError(f"this runtime has botocore {version}; the hooks need {least} or newer")


check_botocore(botocore.__version__)


def passes(error: Exception) -> bool:
    """Whether the same call may succeed a little later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response["Error"]["Code"]
        return "Throttl" in code or code in _PASSING or (status >= 500 and code != "ModelError")
    return isinstance(error, BotoConnectionError | HTTPClientError)


def patiently(call: Callable[[], T]) -> T:
    """Call, and again after a pause where what went wrong may pass: for a hook that CloudFormation asks once."""
    until = time.monotonic() + _PATIENCE
    for pause in _PAUSES:
        try:
            return call()
        except Exception as error:
            if not passes(error) or time.monotonic() + pause > until:
                raise
            time.sleep(pause)
    return call()


@functools.cache
def client(service: str, read_timeout: int = 20, attempts: int = 5) -> Any:
    """A client with standard retries and short waits (seconds): a hook is retried as a whole if they do not do."""
    made = boto3.client(
        service,
        config=Config(
            connect_timeout=5, read_timeout=read_timeout, retries={"mode": "standard", "total_max_attempts": attempts}
        ),
    )
    if service == "sagemaker":
        made.meta.events.register("after-call.sagemaker.DescribeEndpointConfig", _with_whole_variants)
    return made


def _with_whole_variants(http_response: Any, parsed: dict[str, Any], **_: object) -> None:
    """Give variants as SageMaker sent them: instance pools are younger than the botocore of some runtimes, which drops
    what it does not know (``docs/adr/0004-boto3-in-lambda.md``).
    """
    if http_response.status_code == 200:
        sent = json.loads(http_response.content)
        parsed |= {name: sent[name] for name in ("ProductionVariants", "ShadowProductionVariants") if name in sent}


# -- S3 --------------------------------------------------------------------------------------------------------------


def head_object(bucket: str, key: str) -> Mapping[str, Any]:
    """What S3 knows about an object, its checksums among it.

    :raises ClientError: when it is not there, or may not be read.
    """
    head: Mapping[str, Any] = client("s3").head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return head


def head(bucket: str, key: str) -> Mapping[str, Any] | None:
    """What S3 knows about an object, its checksums among it; ``None`` when it is not there."""
    try:
        return head_object(bucket, key)
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise


def read(bucket: str, key: str, most_bytes: int) -> bytes | None:
    """The first bytes of a small object; ``None`` when it is not there."""
    try:
        content: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(most_bytes)
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise
    return content


def sha256(bucket: str, key: str) -> str:
    """The hexadecimal digest of an object's content, read piece by piece."""
    digest = hashlib.sha256()
    for piece in client("s3").get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def write_json(bucket: str, key: str, document: Mapping[str, Any]) -> None:
    """Write a document; the bucket's default encryption applies."""
    client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode(), ContentType="application/json")


def write(bucket: str, key: str, content: bytes) -> None:
    """Write a small object; the bucket's default encryption applies."""
    client("s3").put_object(Bucket=bucket, Key=key, Body=content)


# -- DynamoDB --------------------------------------------------------------------------------------------------------


def get_item(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The item a request of ``registry`` asks for, or ``None``."""
    item: dict[str, Any] | None = client("dynamodb").get_item(**request).get("Item")
    return item


def update_item(request: Mapping[str, Any]) -> bool:
    """Send a conditional write of ``registry``; false when its condition does not hold."""
    try:
        client("dynamodb").update_item(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def delete_item(request: Mapping[str, Any]) -> None:
    """Send a DeleteItem request; an item that is not there is deleted."""
    client("dynamodb").delete_item(**request)


# -- Step Functions --------------------------------------------------------------------------------------------------


def start_execution(machine_arn: str, name: str, document: Mapping[str, Any]) -> bool:
    """Start an execution; false when one of this name exists already."""
    try:
        client("stepfunctions").start_execution(stateMachineArn=machine_arn, name=name, input=json.dumps(document))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
            return False
        raise
    return True


# -- EventBridge -----------------------------------------------------------------------------------------------------


def put_events(source: str, entries: Sequence[tuple[str, Mapping[str, Any]]], *, hurried: bool = False) -> None:
    """Send events, each a detail type and a detail, to the default bus.

    :param hurried: give up after 16 s at most.
    :raises RuntimeError: when EventBridge takes fewer than all.
    """
    events = client("events", 3, 2) if hurried else client("events")
    for start in range(0, len(entries), 10):
        answer = events.put_events(
            Entries=[
                {"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}
                for kind, detail in entries[start : start + 10]
            ]
        )
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"EventBridge took {answer['FailedEntryCount']} events fewer than it was given")
