"""The one place that speaks boto3. Clients are made on first use: a handler pays for those it needs.

Everything else in the package is tested without AWS; what is here is thin enough to be read.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from . import fleet_seen
from .artifact import SourceError, SourceFile, asset_digest, content, fingerprint, prefix_digest
from .fleet_seen import Group, Reservation
from .instance_refresh import InstanceRefresh
from .model_request import Source
from .watching import READY

# S3 gives CRC64NVME and ChecksumType since botocore 1.36.0; an older one drops both silently, and every artifact key
# with them.
_LEAST_BOTOCORE = (1, 36, 0)
_MOST_SOURCE_FILES = 1000
_CHUNK = 1 << 20
_JOB_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_LAUNCHES = 20
# Seconds, beside those that boto3 waits: a stack must not fail because many were deployed at once. Tried for so long,
# a hook still answers within its minute.
_PAUSES = (2, 5, 10)
_PATIENCE = 30
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
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


class RefreshRefusedError(Exception):
    """Auto Scaling does not start an instance refresh; the message is its own."""


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


def source(source: Source) -> tuple[str, tuple[SourceFile, ...]]:
    """The digest of a model's files, from what S3 knows about them (see ``artifact``), and those files; of an asset,
    which is one object that holds them, none.

    :raises SourceError: when they are not there, may not be read, or have nothing to tell them by.
    """
    try:
        if source.kind == "asset":
            _head(source.bucket, source.location)
            return asset_digest(source), ()
        files = tuple(_source_files(source))
        return prefix_digest(source, files), files
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            raise SourceError(f"there is no bucket {source.bucket!r} (the source is {source.uri})") from error
        if code in _MISSING:
            raise SourceError(f"there is no object {source.uri}") from error
        if code in ("403", "AccessDenied", "AccessDeniedException"):
            raise SourceError(
                f"{source.uri} may not be read: the bucket's policy or its KMS key refuses the pipeline ({error})"
            ) from error
        raise


def _source_files(source: Source) -> Iterator[SourceFile]:
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=source.bucket, Prefix=source.location)
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
            head = _head(source.bucket, path)
            mark = fingerprint(source, path, head)
            modified = int(found["LastModified"].timestamp())
            yield SourceFile(path.removeprefix(source.location), found["Size"], mark, content(mark, head), modified)


def _head(bucket: str, key: str) -> Mapping[str, Any]:
    head: Mapping[str, Any] = client("s3").head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return head


def head(bucket: str, key: str) -> Mapping[str, Any] | None:
    """What S3 knows about an object, its checksums among it; ``None`` when it is not there."""
    try:
        return _head(bucket, key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise


def read(bucket: str, key: str, most_bytes: int) -> bytes | None:
    """The first bytes of a small object; ``None`` when it is not there."""
    try:
        content: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(most_bytes)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
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


# -- CloudWatch Logs -------------------------------------------------------------------------------------------------


def job_log_tail(job_name: str, lines: int) -> str:
    """The last lines a processing job printed; empty when it never printed, or its log cannot be read."""
    logs = client("logs")
    try:
        found = logs.describe_log_streams(logGroupName=_JOB_LOG_GROUP, logStreamNamePrefix=f"{job_name}/")
        if not found["logStreams"]:
            return ""
        stream = found["logStreams"][0]["logStreamName"]
        events = logs.get_log_events(logGroupName=_JOB_LOG_GROUP, logStreamName=stream, limit=lines)["events"]
    except ClientError:
        return ""
    return "\n".join(event["message"] for event in events)


# -- EC2 Auto Scaling ------------------------------------------------------------------------------------------------


def groups(names: Sequence[str]) -> dict[str, Group]:
    """Auto Scaling groups with their latest launches, by name."""
    autoscaling = client("autoscaling")
    found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(names), MaxRecords=100)
    return {
        one["AutoScalingGroupName"]: fleet_seen.group(
            one,
            autoscaling.describe_scaling_activities(
                AutoScalingGroupName=one["AutoScalingGroupName"], MaxRecords=_LAUNCHES
            )["Activities"],
        )
        for one in found["AutoScalingGroups"]
    }


def set_desired_capacity(group: str, count: int) -> None:
    """Ask a group for a number of instances, at once."""
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=count, HonorCooldown=False)


def newest_refresh(group: str) -> InstanceRefresh | None:
    """A group's latest instance refresh, whatever became of it."""
    found = client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=1)
    for one in found["InstanceRefreshes"]:
        return instance_refresh(one)
    return None


def instance_refresh(described: Mapping[str, Any]) -> InstanceRefresh:
    """A refresh as DescribeInstanceRefreshes gives it."""
    return InstanceRefresh(
        id=described["InstanceRefreshId"],
        status=described["Status"],
        reason=described.get("StatusReason", ""),
        percent=described.get("PercentageComplete", 0),
        began=int(described["StartTime"].timestamp()) if "StartTime" in described else 0,
    )


def start_refresh(group: str, preferences: Mapping[str, Any]) -> None:
    """Replace a group's instances that are not of its launch template's version.

    :raises RefreshRefusedError: it is not to be had.
    """
    try:
        client("autoscaling").start_instance_refresh(AutoScalingGroupName=group, Preferences=preferences)
    except ClientError as error:
        if error.response["Error"]["Code"] == "InstanceRefreshInProgress":
            return  # of another run of this function, or one that is being cancelled: the next run sees which
        if passes(error):
            raise
        raise RefreshRefusedError(error.response["Error"]["Message"]) from error


def cancel_refresh(group: str) -> None:
    """Stop a group's instance refresh, if one is under way."""
    try:
        client("autoscaling").cancel_instance_refresh(AutoScalingGroupName=group)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ActiveInstanceRefreshNotFound":
            raise


# -- EC2, CloudWatch, EventBridge ------------------------------------------------------------------------------------


def reservations(ids: Sequence[str]) -> dict[str, Reservation]:
    """Capacity reservations by id, without those that do not exist."""
    found: dict[str, Reservation] = {}
    for id in ids:
        try:
            described = client("ec2").describe_capacity_reservations(CapacityReservationIds=[id])
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("InvalidCapacityReservationId"):
                continue
            raise
        found |= {
            one["CapacityReservationId"]: fleet_seen.reservation(one) for one in described["CapacityReservations"]
        }
    return found


def datapoints(query: Mapping[str, Any], now: int, count: int) -> tuple[float | None, ...]:
    """The last whole minutes of a metric, oldest first, ``None`` for a minute without data.

    :param query: ``Namespace``, ``MetricName``, ``Dimensions``, ``Stat``.
    """
    end = now - now % 60
    metric = {name: query[name] for name in ("Namespace", "MetricName", "Dimensions")}
    answer = client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "metric", "MetricStat": {"Metric": metric, "Period": 60, "Stat": query["Stat"]}}],
        StartTime=end - 60 * count,
        EndTime=end,
    )
    values = {
        int(at.timestamp()): value
        for one in answer["MetricDataResults"]
        for at, value in zip(one["Timestamps"], one["Values"], strict=True)
    }
    return tuple(values.get(end - 60 * ago) for ago in range(count, 0, -1))


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


# -- CodeBuild -------------------------------------------------------------------------------------------------------


def start_build(project: str, token: str, variables: Mapping[str, str]) -> None:
    """Start a build with these variables; the same token again, within five minutes, starts no other."""
    client("codebuild").start_build(
        projectName=project,
        idempotencyToken=token,
        environmentVariablesOverride=[{"name": name, "value": value} for name, value in variables.items()],
    )
