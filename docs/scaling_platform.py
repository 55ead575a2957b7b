"""The two endpoints of ``scaling_run`` on an embedded AWS: how they are deployed, asked and looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.sample import INPUT, MODEL, OUTPUT, SOURCE, Sample

ROOT = Path(__file__).resolve().parents[1]
TARGET, MOST = 2, 3  # of the endpoint under load: requests at a time for an instance, instances


def document() -> dict[str, Any]:
    """The deployment file."""
    scaling = {"metric": "concurrent-requests", "target": TARGET, "scale_out_cooldown_s": 300}
    component = {"model": MODEL, "copies": {"min": 0, "max": 1}, "cpus": 1, "memory_mib": 2048}
    return {
        "name": "scaling",
        "environment": {"account": "000000000000", "region": "us-east-1"},
        "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "endpoints-only"},
        "models": {
            MODEL: {
                "source": {"s3": SOURCE},
                "task": "file-type",
                "compile": {"engine": "onnxruntime", "target": "cpu", "batch_sizes": [1]},
            }
        },
        "endpoints": {
            "serving": {
                "model": MODEL,
                "instance_types": ["ml.m5.large"],
                "size": {"min": 1, "max": MOST},
                "scaling": scaling,
            },
            "sleeping": {
                "instance_types": ["ml.m5.large"],
                "size": {"min": 0, "max": 1},
                "components": [component],
                "scaling": {"metric": "concurrent-requests", "target": 4},
            },
        },
    }


def row() -> list[int]:
    """What is asked about: a shell script, as the model takes it."""
    return Sample().features(b"#!/bin/sh\necho one line and another\n" * 8)


@dataclass(frozen=True)
class Seen:
    """How both endpoints stood at a moment of the clock, in epoch seconds.

    :param asked: requests at a time to the endpoint under load.
    :param instances: of it, in service; ``desired``: as many as it is to have.
    :param copies: of the component that sleeps; ``hosts``: the instances below.
    :param busy: whether either is being changed.
    """

    now: float
    asked: int
    instances: int
    desired: int
    copies: int
    hosts: int
    busy: bool


class Platform:
    """The two endpoints, deployed."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        session = boto3.Session("test", "test", region_name="us-east-1")
        self._clients: dict[str, Any] = {}
        for service in ("sagemaker", "sagemaker-runtime", "cloudwatch", "application-autoscaling", "cloudformation"):
            config = Config(retries={"total_max_attempts": 1}, read_timeout=90, max_pool_connections=20)
            self._clients[service] = session.client(service, endpoint_url=aws.url, config=config)
        self.serving, self.sleeping = (self._output(name, "EndpointName") for name in ("serving", "sleeping"))
        self.component: str = json.loads(self._output("sleeping", "Components"))[MODEL]
        self._body = json.dumps({"inputs": {INPUT: [row()]}})

    def client(self, service: str) -> Any:
        return self._clients[service]

    def ask(self, endpoint: str, **one: str) -> list[float]:
        """What the model says to one request."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=self._body, **one
        )
        scores: list[float] = json.loads(answer["Body"].read())["outputs"][OUTPUT][0]
        return scores

    def seen(self, asked: int) -> Seen:
        """How both are. Its time is that after the last look: nothing is told earlier than it was."""
        sagemaker = self.client("sagemaker")
        serving, sleeping = (sagemaker.describe_endpoint(EndpointName=name) for name in (self.serving, self.sleeping))
        component = sagemaker.describe_inference_component(InferenceComponentName=self.component)
        (variant,), (hosts,) = serving["ProductionVariants"], sleeping["ProductionVariants"]
        statuses = serving["EndpointStatus"], component["InferenceComponentStatus"]
        return Seen(
            now=self.aws.set_clock(),
            asked=asked,
            instances=variant["CurrentInstanceCount"],
            desired=variant["DesiredInstanceCount"],
            copies=component["RuntimeConfig"]["CurrentCopyCount"],
            hosts=hosts["CurrentInstanceCount"],
            busy=set(statuses) != {"InService"},
        )

    def activities(self, resource: str) -> list[dict[str, Any]]:
        """What Application Auto Scaling did with it, the oldest first."""
        found = self.client("application-autoscaling").describe_scaling_activities(
            ServiceNamespace="sagemaker", ResourceId=resource
        )
        return sorted(found["ScalingActivities"], key=lambda each: each["StartTime"])

    def metric(self, name: str, statistic: str, start: float, minutes: int, **dimensions: str) -> list[float | None]:
        """The datapoints of so many minutes."""
        given = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        metric = {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": given}
        query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic}}
        (found,) = self.client("cloudwatch").get_metric_data(
            MetricDataQueries=[query], StartTime=start, EndTime=start + 60 * minutes
        )["MetricDataResults"]
        at = {int(time.timestamp()): value for time, value in zip(found["Timestamps"], found["Values"], strict=True)}
        return [at.get(int(start) + 60 * minute) for minute in range(minutes)]

    def _output(self, endpoint: str, key: str) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"scaling-Endpoint-{endpoint}")["Stacks"]
        found: str = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}[key]
        return found


@contextmanager
def deployed(folder: Path) -> Iterator[Platform]:
    """The endpoints on an embedded AWS of their own, by the command that a person types."""
    aws = EmbeddedAws(folder / "state", port=0)
    file = folder / "deployment.yaml"
    file.write_text(yaml.safe_dump(document()))
    command = Path(sys.executable).with_name("neuron-cdk")
    try:
        done = subprocess.run(
            [command, "local", "deploy", file, "--state", aws.state_dir, "--port", "0", "--requests", "1"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        yield Platform(aws)
    finally:
        aws.down(delete_state=True)
