"""The compile job: a ``CreateProcessingJob`` request, the document its container reads, where its files lie."""

from __future__ import annotations

from typing import Any

from .model_request import ModelRequest
from .settings import BeginCompile

# Where SageMaker puts inputs in the container (SageMaker's guide, "How Amazon SageMaker Processing Configures Input and
# Output For Your Processing Container").
_INPUT = "/opt/ml/processing/input"
_OUTPUT = "/opt/ml/processing/output"


def artifact_prefix(key: str, attempt: str) -> str:
    """Where an attempt writes what it makes."""
    return f"artifacts/{key}/{attempt}/"


def request_key(key: str, attempt: str) -> str:
    """Where an attempt's request document lies."""
    return f"requests/{key}/{attempt}/request.json"


def execution_name(key: str, attempt: str) -> str:
    """The compile execution of an attempt, and the stem of its jobs' names, which may have 63 characters."""
    return f"{key[:32]}-{attempt}"


def request_document(model: ModelRequest, key: str, attempt: str) -> dict[str, Any]:
    """``request.json``, as ``neuron_jobs.request`` reads it."""
    return {
        "artifact_key": key,
        "attempt": attempt,
        "model": {
            "name": model.name,
            "source": {"kind": model.source.kind, "uri": model.source.uri},
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


def compile_input(model: ModelRequest, key: str, attempt: str, settings: BeginCompile) -> dict[str, Any]:
    """The input of the compile machine: ``key``, ``attempt``, ``model``, ``execution_name``, ``hosts``, ``job``."""
    return {
        "key": key,
        "attempt": attempt,
        "model": model.name,
        "execution_name": execution_name(key, attempt),
        "hosts": list(model.hosts),
        "job": processing_job(model, key, attempt, settings),
    }


def processing_job(model: ModelRequest, key: str, attempt: str, settings: BeginCompile) -> dict[str, Any]:
    """A ``CreateProcessingJob`` request without ``ProcessingJobName`` and ``InstanceType``, which depend on the host
    that can be had: the compile machine adds them.

    The container has no network at all; SageMaker moves its inputs and its output.
    """
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
            _input("source", model.source.uri),
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
                "InstanceCount": 1,
                "VolumeSizeInGB": model.volume_size_gb,
                "VolumeKmsKeyId": settings.key_arn,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": model.timeout_minutes * 60},
        "NetworkConfig": {
            "EnableNetworkIsolation": True,
            "VpcConfig": {"Subnets": list(settings.subnets), "SecurityGroupIds": list(settings.security_groups)},
        },
        "RoleArn": settings.job_role_arn,
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
