"""Why a compile failed, and whether trying again can help, from what Step Functions hands over. Pure.

A failure is *final* when the same inputs would fail again: the container failed, its output was refused, it ran out of
its time. What AWS could not give (capacity, a quota, a host that died), what somebody stopped, and what a role or an
image was missing is not: the same inputs may do next time.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

_MOST_CHARACTERS = 3000
_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"

CONTAINER = "container"
"""The job's own program failed."""
MEMORY = "memory"
"""The host was too small."""
TIME = "time"
"""The job was stopped at its time limit."""
ARTIFACT = "artifact"
"""What the job left is not a whole artifact."""
CAPACITY = "capacity"
"""AWS had no host of the type."""
QUOTA = "quota"
"""The account's quota is used up."""
NO_QUOTA = "no quota"
"""The account's quota is zero: waiting does not help."""
PASSING = "passing"
"""Throttling, an error of the service, a host that was lost."""
UNKNOWN_TO_SERVICE = "unknown to the service"
"""The call, or Step Functions' integration, does not know what was asked for."""
STOPPED = "stopped"
"""Somebody stopped it."""
REFUSED = "refused"
"""The service refuses the call, or cannot fetch image or source: a role, an address, a quota of another kind."""

_FINAL = (CONTAINER, MEMORY, TIME, ARTIFACT)
# Words of CreateProcessingJob's refusals and DescribeProcessingJob's FailureReason, as seen in reports of users.
_SHORT = ("CapacityError", "InsufficientCapacity", "InsufficientInstanceCapacity")
_THROTTLED = ("ThrottlingException", "Rate exceeded", "TooManyRequests", "RequestLimitExceeded")
_TOO_SMALL = ("instance type with more memory", "exit code: 137", "OutOfMemory")
# What the job's program says last when not it but its compiler was killed (``neuron_jobs.memory.TOO_LITTLE``): the
# container then fails as after any other error.
_TOO_LITTLE = "error: out of memory: the compile needs more than this host has"


@dataclass(frozen=True)
class Failure:
    """``reason`` is empty when only the job's log can tell; ``job_name`` and ``host`` when no job was started.

    ``seconds``: how long the job ran. ``ended_at``: until when, seconds since the epoch; 0 where it did not run.
    ``limit_minutes``: how long it was let run.
    """

    reason: str
    job_name: str
    kind: str = REFUSED
    host: str = ""
    seconds: float = 0.0
    limit_minutes: int = 0
    ended_at: int = 0

    @property
    def final(self) -> bool:
        return self.kind in _FINAL


def explain(error: Mapping[str, Any]) -> Failure:
    """Read the ``Error`` and ``Cause`` of a state that failed.

    When a job ends badly, the cause is DescribeProcessingJob's answer as a JSON string; when a Lambda raises, it is
    ``{"errorMessage": …, "errorType": …}``; when a nested execution ends badly, DescribeExecution's answer; else it is
    text.
    """
    name, cause = str(error.get("Error", "")), str(error.get("Cause", ""))
    document = _object(cause)
    if "ProcessingJobName" in document:
        return _of_job(document)
    if "errorMessage" in document:
        kind = ARTIFACT if name == "ArtifactError" else REFUSED
        return Failure(str(document["errorMessage"]), "", kind)
    if "ExecutionArn" in document:
        return _of_execution(document)
    reason = ": ".join(part for part in (name, cause) if part) or "the compile ended without saying why"
    return Failure(reason, "", _kind_of_call(name, cause))


def of_job_that_ran(found: Failure, job: Mapping[str, Any]) -> Failure:
    """The same failure, with what a job's description tells: it ended well, and what it left was refused."""
    if "ProcessingJobName" not in job:
        return found
    return replace(found, job_name=str(job["ProcessingJobName"]), host=host(job), seconds=seconds(job))


def _of_job(job: Mapping[str, Any]) -> Failure:
    limit = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    ran = seconds(job)
    message = str(job.get("ExitMessage") or "").strip()  # FailureReason only says that the container failed
    kind = _kind_of_job(job)
    if job.get("ProcessingJobStatus") == "Stopped":
        minutes = f"{int(limit) // 60} minutes" if limit else "its time limit"
        by_hand = limit and 0 < ran < int(limit)
        kind = STOPPED if by_hand else TIME
        if by_hand:
            reason = f"the compile was stopped by hand after {ran / 60:.0f} of {minutes} (timeout_minutes)"
        else:
            reason = f"the compile was stopped at its limit of {minutes}: raise timeout_minutes"
        message = f"{message}\n{reason}" if message else reason
    return Failure(
        message,
        str(job["ProcessingJobName"]),
        kind,
        host(job),
        ran,
        int(limit) // 60 if limit is not None else 0,
        int(_moment(job.get("ProcessingEndTime"))) if ran else 0,
    )


def _kind_of_job(job: Mapping[str, Any]) -> str:
    said = str(job.get("FailureReason") or "")
    if any(word in said for word in _SHORT):
        return CAPACITY
    if any(word in said for word in _TOO_SMALL) or _TOO_LITTLE in str(job.get("ExitMessage") or ""):
        return MEMORY
    if said.startswith("InternalServerError"):
        return PASSING
    return REFUSED if said.startswith("ClientError") else CONTAINER


def _of_execution(execution: Mapping[str, Any]) -> Failure:
    """A nested execution that ended without an outcome of its own: what it could not catch, or somebody stopped it."""
    status = str(execution.get("Status", ""))
    said = ": ".join(str(execution[part]) for part in ("Error", "Cause") if execution.get(part))
    reason = f"the execution {execution['ExecutionArn']} ended as {status}" + (f": {said}" if said else "")
    return Failure(reason, "", UNKNOWN_TO_SERVICE if status == "FAILED" else STOPPED)


def _kind_of_call(name: str, cause: str) -> str:
    if "ResourceLimitExceeded" in name:
        return NO_QUOTA if " is 0 Instances" in cause else QUOTA
    if any(word in cause or word in name for word in _THROTTLED):
        return PASSING
    if "Status Code: 5" in cause or "SdkClientException" in name or name == "States.Timeout":
        return PASSING
    if any(word in cause for word in _SHORT):
        return CAPACITY
    if name.startswith("SageMaker.") and ("ValidationException" in cause or "SerializationException" in cause):
        return UNKNOWN_TO_SERVICE
    return REFUSED


def fallback(error: Mapping[str, Any]) -> str:
    """What SageMaker itself says of a failed job, for when neither its exit message nor its log has anything."""
    document = _object(str(error.get("Cause", "")))
    return str(document.get("FailureReason") or "the compile job failed without a message")


def of_memory(host: str, gib: int, larger: Sequence[str]) -> str:
    """What to do about a compile that ran out of memory.

    :param gib: how much was too little, or 0 where that is not known.
    :param larger: types of hosts that have more.
    """
    has = f"{host or 'the host'} has {gib} GiB of memory" if gib else f"{host or 'the host'} was too small"
    if larger:
        return f"{has}; the next time it begins on {larger[0]}: ask again"
    # What neuronx-cc itself advises (F137): "Using a smaller data type, dimensions, batch size".
    return (
        f"{has}, and of the hosts that such models are compiled on none has more: give it less to compile, "
        "with smaller batch_sizes or sequence_lengths or a smaller dtype"
    )


# -- what a job's description says ---------------------------------------------------------------------------------


def host(job: Mapping[str, Any]) -> str:
    """The instance type a job ran on, or was to: the one chosen of several, or the only one asked for."""
    cluster = job.get("ProcessingResources", {}).get("ClusterConfig", {})
    return str(cluster.get("SelectedInstanceType") or cluster.get("InstanceType") or "")


def seconds(job: Mapping[str, Any]) -> float:
    """How long a job ran; 0 where it did not start, or has not ended."""
    start, end = _moment(job.get("ProcessingStartTime")), _moment(job.get("ProcessingEndTime"))
    return max(end - start, 0.0) if start and end else 0.0


def _moment(time: object) -> float:
    """Seconds since the epoch: Step Functions gives milliseconds, the API seconds, a description as text ISO 8601."""
    if isinstance(time, str):
        try:
            return datetime.fromisoformat(time).timestamp()
        except ValueError:
            return 0.0
    if not isinstance(time, int | float):
        return 0.0
    return time / 1000 if time > 1e11 else float(time)


def end_of(text: str) -> str:
    """As much of the end of a reason as is worth keeping."""
    return text if len(text) <= _MOST_CHARACTERS else "…" + text[-_MOST_CHARACTERS:]


def log_url(region: str, job_name: str) -> str:
    """The job's log in the CloudWatch console, or nothing when there was no job."""
    if not job_name:
        return ""
    host = {"cn": "console.amazonaws.cn", "us-gov": "console.amazonaws-us-gov.com"}.get(
        region.rsplit("-", 2)[0], "console.aws.amazon.com"
    )
    group, prefix = (_console(part) for part in (_LOG_GROUP, job_name))
    return (
        f"https://{region}.{host}/cloudwatch/home?region={region}"
        f"#logsV2:log-groups/log-group/{group}$3FlogStreamNameFilter$3D{prefix}"
    )


def _console(text: str) -> str:
    """The console wants its fragment percent-encoded twice, with ``$`` for the second percent sign."""
    return urllib.parse.quote(urllib.parse.quote(text, safe=""), safe="").replace("%", "$")


def _object(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
