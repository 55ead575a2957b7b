"""Processing jobs. One is a thread here and a process group of its own: download, run, upload, say how it went."""

from __future__ import annotations

import contextvars
import json
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..api import ServiceError
from ..iam.authorization import RefusedError
from ..processes import Process
from . import capacity, containers, logs, roles, store, transfer
from .store import Record

logger = logging.getLogger("neuron_cdk.local")

_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_MOST_SECONDS = 86_400  # SageMaker's default StoppingCondition
_GRACE_SECONDS = 30.0  # between SIGTERM and SIGKILL; SageMaker leaves a container 120
_REASON = 1024  # the model's limit for FailureReason and ExitMessage

_runs: dict[str, _Run] = {}


def create(request: Record) -> dict[str, Any]:
    name = request["ProcessingJobName"]
    if name in store.jobs:
        raise ServiceError(
            "ResourceInUse",
            "Job name must be unique within an AWS account and region, and a job with this name already exists "
            f"({store.arn('processing-job', name)})",
        )
    if "ClusterConfig" not in request["ProcessingResources"]:
        raise ServiceError("ValidationException", "ProcessingResources must have a ClusterConfig")
    cluster = request["ProcessingResources"]["ClusterConfig"]
    if ("InstanceType" in cluster) == ("InstancePreferences" in cluster):
        raise ServiceError("ValidationException", "ClusterConfig must have InstanceType or InstancePreferences")
    if any(one.get("InstanceCount", 1) != 1 for one in (cluster, *cluster.get("InstancePreferences", ()))):
        raise ServiceError("ValidationException", "the embedded AWS runs processing jobs of one instance")
    roles.check(request["RoleArn"])
    _check_quotas(_types(cluster))
    arn = store.arn("processing-job", name)
    moment = store.now()
    record = {key: value for key, value in request.items() if key != "Tags"}
    store.jobs[name] = record | {
        "ProcessingJobArn": arn,
        "ProcessingJobStatus": "InProgress",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }
    store.tag(arn, request.get("Tags", []))
    run = _runs[arn] = _Run(store.jobs[name])
    # The thread speaks for the account and region of this request.
    threading.Thread(target=contextvars.copy_context().run, args=(run.go,), name=f"job-{name}", daemon=True).start()
    return {"ProcessingJobArn": arn}


def _types(cluster: Record) -> list[str]:
    """The instance types a job may run on, in order."""
    if "InstanceType" in cluster:
        return [cluster["InstanceType"]]
    return [one["InstanceType"] for one in cluster["InstancePreferences"]]


def _check_quotas(types: Sequence[str]) -> None:
    """Raise ``ResourceLimitExceeded`` when the account's quotas leave none of the types (inferred: of a list, the first
    is named)."""
    if not any(capacity.has_quota(host) for host in types):
        capacity.check_quota(types[0], usage="processing job usage")


def describe(request: Record) -> dict[str, Any]:
    return dict(_find(request["ProcessingJobName"]))


def stop(request: Record) -> dict[str, Any]:
    record = _find(request["ProcessingJobName"])
    run = _runs.get(record["ProcessingJobArn"])
    if run:
        run.stop()
    return {}


def list_all(request: Record) -> dict[str, Any]:
    found, token = store.page(
        list(store.jobs.values()), request, name="ProcessingJobName", status="ProcessingJobStatus"
    )
    shown = (
        "ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
        "ProcessingJobStatus", "FailureReason", "ExitMessage",
    )  # fmt: skip
    summaries = [{key: record[key] for key in shown if key in record} for record in found]
    return {"ProcessingJobSummaries": summaries} | ({"NextToken": token} if token else {})


def fail_interrupted() -> None:
    """Jobs that ran when the last server died did not survive it."""
    for record in store.jobs.all_values():
        if record["ProcessingJobStatus"] in ("InProgress", "Stopping"):
            record.update(
                ProcessingJobStatus="Failed",
                FailureReason="InternalServerError: the embedded AWS ended while the job ran",
                ProcessingEndTime=store.now(),
                LastModifiedTime=store.now(),
            )


def _find(name: str) -> Record:
    record: Record | None = store.jobs.get(name)
    if record is None:
        raise ServiceError("ResourceNotFound", f"Could not find requested job with name: {name}")
    return record


class _JobError(Exception):
    """Why a job fails, as FailureReason words it."""


class _Run:
    """One job under way."""

    folder: Path  # where the folders of all jobs are made; set once by configure()
    saved: Callable[[], None]  # called after every job

    def __init__(self, record: Record) -> None:
        self._record = record
        self._root: Path = self.folder / record["ProcessingJobName"]
        self._process: Process | None = None
        self._stopping = threading.Event()
        self._status = threading.Lock()

    def go(self) -> None:
        try:
            with roles.acting(self._record["RoleArn"]):
                outcome = self._work()
        except (_JobError, transfer.TransferError) as failure:
            outcome = {"ProcessingJobStatus": "Failed", "FailureReason": str(failure)[:_REASON]}
        except Exception as error:
            logger.exception("processing job %s", self._record["ProcessingJobName"])
            outcome = {"ProcessingJobStatus": "Failed", "FailureReason": f"InternalServerError: {error}"[:_REASON]}
        shutil.rmtree(self._root, ignore_errors=True)
        moment = store.now()
        with self._status:
            self._record.update(outcome, ProcessingEndTime=moment, LastModifiedTime=moment)
        _runs.pop(self._record["ProcessingJobArn"], None)
        self.saved()

    def stop(self) -> None:
        with self._status:
            if self._record["ProcessingJobStatus"] != "InProgress":
                return
            self._record.update(ProcessingJobStatus="Stopping", LastModifiedTime=store.now())
            self._stopping.set()
        if self._process:
            threading.Thread(target=self._process.stop, kwargs={"grace": _GRACE_SECONDS}, daemon=True).start()

    def _work(self) -> Record:
        record = self._record
        cluster = record["ProcessingResources"]["ClusterConfig"]
        there = [host for host in _types(cluster) if capacity.available(host) and capacity.has_quota(host)]
        if not there:
            raise _JobError(capacity.SHORT)
        if "InstancePreferences" in cluster:
            self._choose(there[0])
        reason = containers.why_not(record["AppSpecification"]["ImageUri"])
        if reason:
            raise _JobError(f"ClientError: {reason}")
        self._begin()
        self._download()
        record["ProcessingStartTime"] = store.now()
        code, tail = self._run()
        message = self._message()
        shown = {"ExitMessage": message[:_REASON]} if message else {}
        if self._stopping.is_set():
            return shown | {"ProcessingJobStatus": "Stopped"}
        if code:
            why = message or " ".join(list(tail)[-1:])
            return shown | {
                "ProcessingJobStatus": "Failed",
                "FailureReason": f"AlgorithmError: {why[: _REASON - 60]}, exit code: {code}",
            }
        self._upload()
        return shown | {"ProcessingJobStatus": "Completed"}

    def _choose(self, host: str) -> None:
        """DescribeProcessingJob says which of several types it is."""
        resources = self._record["ProcessingResources"]
        cluster = resources["ClusterConfig"] | {"SelectedInstanceType": host, "SelectedInstanceCount": 1}
        self._record["ProcessingResources"] = resources | {"ClusterConfig": cluster}

    def _begin(self) -> None:
        """What SageMaker does as the job's role before its container runs."""
        network = self._record.get("NetworkConfig", {}).get("VpcConfig")
        key = self._record["ProcessingResources"]["ClusterConfig"].get("VolumeKmsKeyId")
        try:
            roles.may_start(
                self._record["AppSpecification"]["ImageUri"], network=network, key=key, log_group=_LOG_GROUP
            )
        except RefusedError as error:
            raise _JobError(f"ClientError: {error}") from error

    def _download(self) -> None:
        for item in self._record.get("ProcessingInputs", []):
            source = item.get("S3Input")
            if source is None or "LocalPath" not in source:
                raise _JobError(
                    f"ClientError: input {item['InputName']}: the embedded AWS takes S3Input with a LocalPath only"
                )
            local = Path(containers.below(self._root, source["LocalPath"]))
            local.mkdir(parents=True, exist_ok=True)
            try:
                transfer.download_prefix(source["S3Uri"], local)
            except transfer.TransferError as error:
                raise _JobError(f"ClientError: Data download failed:{error}") from error

    def _run(self) -> tuple[int, Sequence[str]]:
        record, root = self._record, self._root
        application = record["AppSpecification"]
        words = [*application.get("ContainerEntrypoint", []), *application.get("ContainerArguments", [])]
        if not words:
            raise _JobError("ClientError: the image has no entrypoint of its own: give ContainerEntrypoint")
        configuration = root / "config"
        configuration.mkdir(parents=True, exist_ok=True)
        (configuration / "processingjobconfig.json").write_text(json.dumps(record))
        (root / "output").mkdir(exist_ok=True)
        for output in self._outputs():
            Path(containers.below(root, output["LocalPath"])).mkdir(parents=True, exist_ok=True)
        isolated = record.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        self._process = process = Process(
            containers.command(root, words),
            environment=containers.environment(root, record.get("Environment", {}), isolated=isolated),
            folder=root,
        )
        if self._stopping.is_set():  # stopped while it was being prepared
            process.kill()
        limit = record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _MOST_SECONDS)
        timer = threading.Timer(limit, self.stop)
        timer.daemon = True
        timer.start()
        try:
            stream = f"{record['ProcessingJobName']}/algo-1-{int(record['CreationTime'])}"
            tail = logs.ship(process.output, group=_LOG_GROUP, stream=stream)
            return process.wait(), tail
        finally:
            timer.cancel()

    def _message(self) -> str:
        try:
            return (self._root / "output" / "message").read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _upload(self) -> None:
        for output in self._outputs():
            transfer.upload(Path(containers.below(self._root, output["LocalPath"])), output["S3Uri"])

    def _outputs(self) -> list[Record]:
        declared = self._record.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return [output["S3Output"] for output in declared if "LocalPath" in output.get("S3Output", {})]


def configure(folder: Path, saved: Callable[[], None]) -> None:
    """Where jobs have their folders, and what to call after each."""
    _Run.folder, _Run.saved = folder, staticmethod(saved)
