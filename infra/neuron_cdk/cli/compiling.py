"""Compiles that a person asks for: started at the pipeline's request machine, and watched until they end."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from neuron_cdk.doctor.aws import AskError, FailedError
from neuron_cdk.doctor.boto import answered

from .deployed import output
from .failure import NotDoneError
from .live_models import Artifact, LiveModel, first_line, read_artifact, read_artifacts

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws

_JOB_LOGS = "/aws/sagemaker/ProcessingJobs"
_READ_SECONDS = 5
_MOST_MINUTES = 13 * 24 * 60  # of the fourteen days that the machine runs
_DAY_MINUTES = 24 * 60
_STARTING_MINUTES = 60
_AT_ONCE = 8
"""How many shapes of a model are compiled side by side (``model.state_machines``)."""
_REQUESTS = 25
_SHOWN = 4


@dataclass
class Compile:
    """One request under way. Empty what is not known yet."""

    model: str
    execution_arn: str
    started: float = field(default_factory=time.monotonic)
    state: str = "starting"
    key: str = ""
    job: str = ""
    host: str = ""
    line: str = ""
    """The last one of the job's log."""
    read_again: float = 0
    """When the whole registry may be read again."""
    outcome: dict[str, Any] | None = None
    """What the machine ended with; None while it runs. ``status`` is ``ready`` where there is an artifact."""
    warnings: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    """What gets the artifact without a deploy."""

    @property
    def elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return f"{minutes}:{seconds:02d}"

    @property
    def is_ready(self) -> bool:
        return self.outcome is not None and self.outcome.get("status") == "ready"

    def to_json(self) -> dict[str, Any]:
        """What it came to; ``status`` is ``started`` where nobody waited."""
        more = {name: value for name in ("targets", "warnings") if (value := getattr(self, name))}
        told = {"status": "started", **(self.outcome or {}), **more}
        return {**told, "model": self.model, "execution_arn": self.execution_arn}


def start(aws: BotoAws, machine: str, model: LiveModel, *, force: bool, timeout_minutes: int | None) -> Compile:
    """Ask for an artifact of a declared model. Raises ``AskError``.

    :param force: try again what is remembered as failed.
    :param timeout_minutes: how long the request waits; a day where None, and longer where the compile may take longer.
        The compile has a time limit of its own.
    """
    document = dict(model.document or {})
    request = {
        "model": document,
        "trigger": "person",
        "force": force,
        "deadline": int(time.time()) + (timeout_minutes or _patience(document)) * 60,
        # ONNX Runtime takes a second, a Neuron compiler minutes.
        "poll_seconds": 1 if document.get("Target") == "cpu" else 15,
    }
    name = f"person-{model.name[:40]}-{uuid.uuid4().hex[:12]}"  # an execution's name may have 80 characters
    with answered("states:StartExecution"):
        begun = aws.client("stepfunctions").start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(request)
        )
        return Compile(model.name, str(begun["executionArn"]))


def _patience(document: Mapping[str, Any]) -> int:
    """Minutes that a compile may take, with finding and starting its hosts; not less than a day."""
    apart = str(document.get("Splits", "")).lower() == "true"
    lists = (len(document.get(name, ())) for name in ("BatchSizes", "SequenceLengths"))
    shapes = math.prod(max(1, length) for length in lists) if apart else 1
    once = int(document.get("TimeoutMinutes", 0)) + _STARTING_MINUTES
    return min(max(_DAY_MINUTES, math.ceil(shapes / _AT_ONCE) * once), _MOST_MINUTES)


def look(aws: BotoAws, table: str, one: Compile) -> None:
    """See how far it is. Raises ``AskError`` when the execution cannot be seen; details may be missing."""
    with answered("states:DescribeExecution"):
        described = aws.client("stepfunctions").describe_execution(executionArn=one.execution_arn)
    if described["status"] == "RUNNING":
        try:
            _look_closer(aws, table, one)
        except AskError:  # progress is a courtesy: who may start a compile need not be allowed to see its job
            one.state = one.state if one.key else "running"
        return
    one.outcome = _outcome(described)
    one.state = str(one.outcome.get("status", ""))
    one.key = str(one.outcome.get("key") or one.key)


def unasked(aws: BotoAws, table: str, one: Compile, model: LiveModel) -> list[str]:
    """A warning where examples of the source's ``golden.json`` fit no program; nothing where that cannot be had."""
    try:
        whole = read_artifact(aws, table, one.key)
        made = [read_artifact(aws, table, key) for key in whole.parts] if whole else []
    except AskError:
        return []
    # What is joined has the programs of all its parts: an example that fits none of them fits none.
    each = [list(part.verification.get("unfit", ())) if part else [] for part in made or [whole]]
    unfit = [str(example) for example in each[0] if all(example in others for others in each)]
    if not unfit:
        return []
    more = f" and {len(unfit) - _SHOWN} more" if len(unfit) > _SHOWN else ""
    return [
        f"examples of the source's golden.json fit no program and are not asked: {', '.join(unfit[:_SHOWN])}{more}. "
        f"The model is compiled for {model.shapes}; fewer rows are padded, lengths are not. Give them one of these "
        "shapes, or the model theirs (batch_sizes, sequence_lengths)"
    ]


def last_failure(aws: BotoAws, deployment: str, model: str) -> dict[str, str] | None:
    """What the newest request for a model failed with, if it did: ``at``, ``by``, ``reason``, ``execution_arn``.

    None too where that cannot be had, or lies behind the last requests for other models.
    """
    try:
        machine, client = output(aws, deployment, "Pipeline", "RequestMachine"), aws.client("stepfunctions")
        with answered("states:ListExecutions"):
            listed = client.list_executions(stateMachineArn=machine, maxResults=_REQUESTS)["executions"]
        for each in sorted(listed, key=lambda each: each["startDate"], reverse=True):
            with answered("states:DescribeExecution"):
                described = client.describe_execution(executionArn=each["executionArn"])
            asked = _object(described.get("input", ""))
            if asked.get("model", {}).get("Name") == model and asked.get("trigger") != "need":
                return _failure(described, asked)
    except (AskError, NotDoneError):
        pass
    return None


def _failure(described: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str] | None:
    outcome = {} if described["status"] == "RUNNING" else _outcome(described)
    if outcome.get("status") not in ("failed", "error"):
        return None
    return {
        "at": f"{described['startDate'].astimezone(UTC):%Y-%m-%d %H:%M}",
        "by": str(asked.get("trigger") or "deploy"),
        "reason": reason(outcome),
        "execution_arn": str(described["executionArn"]),
    }


def reason(outcome: Mapping[str, Any]) -> str:
    """Why a request came to nothing."""
    return str(outcome.get("reason") or _error(outcome) or "no reason is known").strip()


def _error(outcome: Mapping[str, Any]) -> str:
    """What a step of the machine failed with: ``{"Error", "Cause"}``, the cause perhaps a Lambda's JSON."""
    error = outcome.get("error")
    if not isinstance(error, dict):
        return ""
    cause = str(error.get("Cause", ""))
    cause = str(_object(cause).get("errorMessage", cause))
    return f"{cause or error.get('Error', '')} (in state {outcome.get('state', '?')})"


def last_lines(aws: BotoAws, table: str, one: Compile, count: int = 20) -> list[str]:
    """The end of the log of the job that failed; none where it cannot be had."""
    try:
        if not one.job and one.key:
            found = read_artifact(aws, table, one.key)
            one.job = found.job_name if found else ""
        return _log(aws, one.job, count) if one.job else []
    except AskError:
        return []


def _look_closer(aws: BotoAws, table: str, one: Compile) -> None:
    if not one.key:
        one.key = _key(aws, one.execution_arn)
    found = read_artifact(aws, table, one.key) if one.key else None
    if found is None:  # what it is made of comes first
        found = _needed(aws, table, one)
    else:
        mine = one.execution_arn.rpartition(":")[2] == found.lease_owner
        one.state = found.state if mine or found.state != "compiling" else "compiling for another request"
    if found is None:
        return
    # Jobs are named after the key and the attempt, and are numbered by the host types that were tried.
    stem = f"{found.key[:32]}-{found.attempt}"
    with answered("sagemaker:ListProcessingJobs"):
        jobs = aws.client("sagemaker").list_processing_jobs(
            NameContains=stem, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )["ProcessingJobSummaries"]
    if not jobs:
        return
    if jobs[0]["ProcessingJobName"] != one.job:
        one.job, one.host = str(jobs[0]["ProcessingJobName"]), ""
    if not one.host:  # of several types, SageMaker says which it chose once it has
        with answered("sagemaker:DescribeProcessingJob"):
            described = aws.client("sagemaker").describe_processing_job(ProcessingJobName=one.job)
            cluster = described["ProcessingResources"]["ClusterConfig"]
            one.host = str(cluster.get("SelectedInstanceType") or cluster.get("InstanceType") or "")
    one.line = first_line(next(reversed(_log(aws, one.job, 1)), one.line))


def _needed(aws: BotoAws, table: str, one: Compile) -> Artifact | None:
    """One of the model's parts, or its source's copy, that is being made. It reads the whole registry, so seldom."""
    now = time.monotonic()
    if now < one.read_again:
        return None
    one.read_again = now + _READ_SECONDS
    making = [each for each in read_artifacts(aws, table) if each.model == one.model and each.state == "compiling"]
    if making:
        one.state = f"compiling {len(making)} part{'s' if len(making) > 1 else ''}"
    return making[0] if making else None


def _key(aws: BotoAws, execution_arn: str) -> str:
    """The artifact key, which the machine's first step says."""
    with answered("states:GetExecutionHistory"):
        events = aws.client("stepfunctions").get_execution_history(executionArn=execution_arn, maxResults=100)["events"]
    for event in reversed(events):
        told = _object(event.get("taskSucceededEventDetails", {}).get("output", ""))
        answer = told.get("Payload", told)
        if isinstance(answer, Mapping) and answer.get("key"):
            return str(answer["key"])
    return ""


def _log(aws: BotoAws, job: str, count: int) -> list[str]:
    """The last lines of a job's log; none before it has printed any."""
    logs = aws.client("logs")
    try:
        with answered("logs:DescribeLogStreams"):
            found = logs.describe_log_streams(logGroupName=_JOB_LOGS, logStreamNamePrefix=f"{job}/")["logStreams"]
    except FailedError as error:
        if error.code == "ResourceNotFoundException":  # the account's first job makes the group
            return []
        raise
    if not found:
        return []
    with answered("logs:GetLogEvents"):
        stream = found[0]["logStreamName"]
        events = logs.get_log_events(logGroupName=_JOB_LOGS, logStreamName=stream, limit=count)["events"]
    return [str(event["message"]).rstrip() for event in events]


def _outcome(described: Mapping[str, Any]) -> dict[str, Any]:
    if described["status"] == "SUCCEEDED":
        told = _object(described.get("output", ""))
        return told if told.get("status") else {"status": "error", "reason": "the request ended without an outcome"}
    why = ": ".join(filter(None, (described.get("error"), described.get("cause"))))
    return {"status": "error", "reason": why or f"the request ended as {described['status']}"}


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
