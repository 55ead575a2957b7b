"""The compile job: a ``CreateProcessingJob`` request, the document its container reads, where its files lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model_request import ModelRequest, Source
from ..settings import BeginCompile
from . import artifact, tries
from .artifact import SourceFile

# Where SageMaker puts inputs in the container (SageMaker's guide, "How Amazon SageMaker Processing Configures Input and
# Output For Your Processing Container").
_INPUT = "/opt/ml/processing/input"
_OUTPUT = "/opt/ml/processing/output"

STARTING_SECONDS = 1800
"""How much of a lease is left for a job's host to start, its output to be uploaded and checked."""

_EXECUTION_SECONDS = 12 * 86_400
"""How long a compile execution may run (``neuron_cdk.model.state_machines``)."""


def artifact_prefix(key: str, attempt: str) -> str:
    """Where an attempt writes what it makes."""
    return f"artifacts/{key}/{attempt}/"


def request_key(key: str, attempt: str) -> str:
    """Where an attempt's request document lies."""
    return f"requests/{key}/{attempt}/request.json"


def execution_name(key: str, attempt: str) -> str:
    """The compile execution of an attempt, and the stem of its jobs' names, which may have 63 characters."""
    return f"{key[:32]}-{attempt}"


def request_document(
    model: ModelRequest, key: str, attempt: str, source: Source, files: Sequence[SourceFile] = ()
) -> dict[str, Any]:
    """``request.json``, as ``neuron_jobs.request`` reads it.

    :param source: where the model's files lie now; of a mirrored repository, the mirror.
    :param files: what the key was made of, where that is known by file.
    """
    return {
        "artifact_key": key,
        "attempt": attempt,
        "model": {
            "name": model.name,
            "source": _source(model, source, files),
            "task": model.task,
            "engine": model.engine,
            "target": model.target,
            "sdk": model.sdk,
            "dtype": model.dtype,
            "batch_sizes": list(model.batch_sizes),
            "sequence_lengths": list(model.sequence_lengths),
            "tensor_parallel": model.tensor_parallel,
            "compiler_args": list(model.compiler_args),
        },
    }


def _source(model: ModelRequest, source: Source, files: Sequence[SourceFile]) -> dict[str, Any]:
    if source.kind == "huggingface":
        return {
            "kind": "huggingface",
            "repository": source.repository,
            "revision": source.revision,
            "include": list(source.include),
            "token_secret_arn": source.token_secret_arn,
        }
    described: dict[str, Any] = {"kind": source.kind, "uri": source.uri}
    if files:
        described["files"] = [{"path": file.path, "size": file.size, "content": file.content} for file in files]
    if model.source.include:
        described["include"] = list(model.source.include)
    return described


def compile_input(
    model: ModelRequest,
    key: str,
    attempt: str,
    settings: BeginCompile,
    *,
    source: Source,
    trigger: str,
    expires: int,
    too_small: int = 0,
    join: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The input of the compile machine: ``key``, ``attempt``, ``model``, ``engine``, ``target``, ``sdk``, ``trigger``,
    ``execution_name``, and either ``job``, ``hosts``, ``plan`` (see ``tries``), ``start_by`` and ``lease``, or
    ``join``: parts that are there, to be joined.

    :param expires: when the lease ends. A job that starts after ``start_by`` might outlive it. ``lease`` says how it is
        renewed when a job has run and another is to follow: for how many ``seconds``, how many of them may pass before
        the job starts (``start_within``), and when none may start any more, since the execution ends (``last_start``).
    :param too_small: GiB of memory that are known to be too little.
    """
    work = {
        "key": key,
        "attempt": attempt,
        "model": model.name,
        "engine": model.engine,
        "target": model.target,
        "sdk": model.sdk,
        "trigger": trigger,
        "execution_name": execution_name(key, attempt),
    }
    if join:
        return {**work, "join": list(join)}
    runs = model.timeout_minutes * 60
    return {
        **work,
        "hosts": [
            {"type": host.type} | ({} if host.usd_per_hour is None else {"usd_per_hour": host.usd_per_hour})
            for host in model.hosts
        ],
        "plan": tries.first([host.type for host in model.hosts], too_small),
        "start_by": expires - runs - STARTING_SECONDS,
        "lease": {
            "seconds": runs + settings.lease_seconds,
            "start_within": settings.lease_seconds - STARTING_SECONDS,
            "last_start": expires - runs - settings.lease_seconds + _EXECUTION_SECONDS - runs - STARTING_SECONDS,
        },
        "job": processing_job(model, key, attempt, settings, source),
    }


def processing_job(
    model: ModelRequest, key: str, attempt: str, settings: BeginCompile, source: Source
) -> dict[str, Any]:
    """A ``CreateProcessingJob`` request without ``ProcessingJobName`` and instance types, which depend on the host that
    can be had: the compile machine adds them.

    The container has no network at all; SageMaker moves its inputs and its output. Only what fetches a repository has
    one, and a role of its own.
    """
    fetches = model.engine == artifact.MIRROR
    code = settings.jobs_code_uri.rpartition("/")[2]
    bucket = settings.artifact_bucket
    return {
        "AppSpecification": {
            "ImageUri": _image(model),
            "ContainerEntrypoint": ["python3", "-m", "neuron_jobs.compile"],
        },
        # Python imports straight from the zip.
        "Environment": {"PYTHONPATH": f"{_INPUT}/code/{code}", "PYTHONUNBUFFERED": "1"},
        "ProcessingInputs": [
            _input("code", settings.jobs_code_uri),
            *([] if fetches else [_input("source", source.uri)]),
            _input("request", f"s3://{bucket}/{request_key(key, attempt)}"),
        ],
        "ProcessingOutputConfig": {
            "KmsKeyId": settings.key_arn,
            "Outputs": [
                {
                    "OutputName": "artifact",
                    "S3Output": {
                        "S3Uri": f"s3://{bucket}/{artifact_prefix(key, attempt)}",
                        "LocalPath": _OUTPUT,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "VolumeSizeInGB": model.volume_size_gb,
                "VolumeKmsKeyId": settings.key_arn,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": model.timeout_minutes * 60},
        "NetworkConfig": {
            "EnableNetworkIsolation": not fetches,
            "VpcConfig": {"Subnets": list(settings.subnets), "SecurityGroupIds": list(settings.security_groups)},
        },
        "RoleArn": model.role_arn if fetches else settings.job_role_arn,
        "Tags": [
            {"Key": "neuron-cdk:artifact-key", "Value": key},
            {"Key": "neuron-cdk:model", "Value": model.name},
        ],
    }


def _image(model: ModelRequest) -> str:
    """The image by digest where one is known: a tag can be moved."""
    if not model.image_digest:
        return model.image
    repository = model.image.partition("@")[0]
    head, _, tail = repository.rpartition("/")
    return f"{head}/{tail.partition(':')[0]}@{model.image_digest}"


def _input(name: str, uri: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_INPUT}/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
