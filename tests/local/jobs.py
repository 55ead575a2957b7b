"""Processing jobs of the embedded AWS, and the artifact that one compiles."""

from __future__ import annotations

import importlib.util
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.assets import lambda_root
from tests.local.account import IMAGE, ROLE

Clients = Callable[[str], Any]


@pytest.fixture(scope="session")
def job_request() -> Callable[..., dict[str, Any]]:
    """A CreateProcessingJob request for a Python script that is in a bucket, its name new."""

    def make(bucket: str, **more: Any) -> dict[str, Any]:
        code = {"S3Uri": f"s3://{bucket}/code/", "LocalPath": "/opt/ml/processing/input/code"}
        result = {"S3Uri": f"s3://{bucket}/out", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
        return {
            "ProcessingJobName": f"job-{uuid.uuid4().hex[:12]}",
            "RoleArn": ROLE,
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/main.py"],
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
            },
            "ProcessingInputs": [
                {"InputName": "code", "S3Input": {"S3DataType": "S3Prefix", "S3InputMode": "File", **code}}
            ],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": result}]},
            **more,
        }

    return make


@pytest.fixture(scope="session")
def finished(eventually: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Wait for the end of a processing job; its description."""

    def wait(client: Clients, name: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = client("sagemaker").describe_processing_job(ProcessingJobName=name)
            return described if described["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        ended_job: dict[str, Any] = eventually(ended)
        return ended_job

    return wait


@pytest.fixture(scope="session")
def publish(
    job_request: Callable[..., dict[str, Any]], finished: Callable[..., dict[str, Any]]
) -> Callable[[Clients], str]:
    """Compile Magika's model by the real job in an embedded AWS; the URI of the artifact."""

    def run(client: Clients) -> str:
        s3 = client("s3")
        s3.create_bucket(Bucket="models")
        package = importlib.util.find_spec("magika")
        assert package is not None
        assert package.origin is not None
        (model,) = Path(package.origin).parent.glob("models/*/model.onnx")
        s3.upload_file(str(model), "models", "source/model.onnx")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            for file in sorted((lambda_root() / "neuron_jobs").rglob("*.py")):
                archive.write(file, file.relative_to(lambda_root()))
        s3.put_object(Bucket="models", Key="code/jobs.zip", Body=code.getvalue())
        wanted = {
            "name": "magika",
            "source": {"kind": "s3"},
            "task": "text-classification",
            "engine": "onnxruntime",
            "target": "cpu",
            "sdk": "1.32.0",
            "dtype": "fp32",
            "batch_sizes": [1],
            "sequence_lengths": [],
            "tensor_parallel": 1,
            "compiler_args": [],
        }
        request = {"artifact_key": "0" * 64, "attempt": "1", "model": wanted}
        s3.put_object(Bucket="models", Key="request/request.json", Body=json.dumps(request))
        job = job_request(
            "models",
            AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-m", "neuron_jobs.compile"]},
            Environment={"PYTHONPATH": "/opt/ml/processing/input/code/jobs.zip"},
            ProcessingInputs=[
                {
                    "InputName": name,
                    "S3Input": {
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                        "S3Uri": f"s3://models/{name}/",
                        "LocalPath": f"/opt/ml/processing/input/{name}",
                    },
                }
                for name in ("code", "source", "request")
            ],
        )
        client("sagemaker").create_processing_job(**job)
        ended = finished(client, job["ProcessingJobName"])
        assert ended["ProcessingJobStatus"] == "Completed", ended
        return "s3://models/out/"

    return run


@pytest.fixture(scope="session")
def artifact(client: Clients, publish: Callable[[Clients], str]) -> str:
    """The URI of a compiled model in the shared embedded AWS."""
    return publish(client)
