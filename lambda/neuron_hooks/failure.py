"""Why a compile failed, from what Step Functions hands over. Pure."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_CHARACTERS = 3000
_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"


@dataclass(frozen=True)
class Failure:
    """``reason`` is empty when only the job's log can tell; ``job_name`` when no job was started."""

    reason: str
    job_name: str


def explain(error: Mapping[str, Any]) -> Failure:
    """Read the ``Error`` and ``Cause`` of a state that failed.

    When a job ends badly, the cause is DescribeProcessingJob's answer as a JSON string; when a Lambda raises, it is
    ``{"errorMessage": …, "errorType": …}``; else it is text.
    """
    name, cause = str(error.get("Error", "")), str(error.get("Cause", ""))
    document = _object(cause)
    if "ProcessingJobName" in document:
        return Failure(_job_reason(document), str(document["ProcessingJobName"]))
    if "errorMessage" in document:
        return Failure(str(document["errorMessage"]), "")
    return Failure(": ".join(part for part in (name, cause) if part) or "the compile ended without saying why", "")


def _job_reason(job: Mapping[str, Any]) -> str:
    limit = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    message = str(job.get("ExitMessage") or "").strip()
    if job.get("ProcessingJobStatus") == "Stopped":
        minutes = f"{int(limit) // 60} minutes" if limit else "its time limit"
        ran = _seconds(job.get("ProcessingEndTime")) - _seconds(job.get("ProcessingStartTime"))
        if limit and 0 < ran < int(limit):
            reason = f"the compile was stopped by hand after {ran / 60:.0f} of {minutes} (timeout_minutes)"
        else:
            reason = f"the compile was stopped at its limit of {minutes}: raise timeout_minutes"
        return f"{message}\n{reason}" if message else reason
    # FailureReason only says that the container failed; the container itself says why.
    return message


def fallback(error: Mapping[str, Any]) -> str:
    """What SageMaker itself says of a failed job, for when neither its exit message nor its log has anything."""
    document = _object(str(error.get("Cause", "")))
    return str(document.get("FailureReason") or "the compile job failed without a message")


def _seconds(time: object) -> float:
    """Step Functions gives times in milliseconds, the API in seconds."""
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
