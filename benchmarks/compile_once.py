"""What a cache hit costs, and whether a hundred at once for ten artifacts start ten jobs: on the embedded AWS, with the
real pipeline and the real ONNX Runtime compiler.

Only what CloudFormation and AWS see is used: the function behind the custom resource, its answers, the executions'
histories, SageMaker's list of jobs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
NEURON_CDK = Path(sys.executable).with_name("neuron-cdk")
REQUESTS, KEYS = 100, 10
# The sample's source, which "neuron-cdk local deploy" brings.
FILE = """
name: bench
environment: {account: "000000000000", region: us-east-1}
network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: endpoints-only}
models:
  magika:
    source: {s3: s3://neuron-cdk-models/magika/}
    task: file-type
    compile: {engine: onnxruntime, target: cpu, batch_sizes: [1]}
"""


class Inbox:
    """Where CloudFormation's answers would go: by request, with the time they came."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[float, dict[str, Any]]] = {}
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                inbox.answers.setdefault(body["RequestId"], (time.perf_counter(), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()


class Pipeline:
    """A deployed pipeline, asked as CloudFormation asks it."""

    def __init__(self, url: str, inbox: Inbox) -> None:
        self._inbox = inbox
        session = boto3.Session("test", "test", region_name="us-east-1")
        # As many as ask at once; a function that is asked is not asked again.
        config = Config(max_pool_connections=REQUESTS, read_timeout=300, retries={"total_max_attempts": 1})
        self.aws = {
            name: session.client(name, endpoint_url=url, config=config)
            for name in ("cloudformation", "lambda", "sagemaker", "stepfunctions")
        }
        template = self.aws["cloudformation"].get_template(StackName="bench-Models")["TemplateBody"]
        document = json.loads(template) if isinstance(template, str) else template
        (resource,) = (one for one in document["Resources"].values() if one["Type"] == "Custom::NeuronCompiledModel")
        self.model: dict[str, Any] = resource["Properties"]["Model"]
        stack = self.aws["cloudformation"].describe_stacks(StackName="bench-Pipeline")["Stacks"][0]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        self._machine = outputs["RequestMachine"]
        self._function = next(
            one["PhysicalResourceId"]
            for one in self.aws["cloudformation"].describe_stack_resources(StackName="bench-Pipeline")["StackResources"]
            if one["LogicalResourceId"].startswith("PipelineCompiledModelFunction")
        )

    def ask(self, model: Mapping[str, Any]) -> str:
        """Send a request for an artifact; its id."""
        request = str(uuid.uuid4())
        event = {
            "RequestType": "Create",
            "RequestId": request,
            "ResponseURL": self._inbox.url,
            "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/bench/1",
            "LogicalResourceId": f"Model{request[:8]}",
            "ResourceProperties": {"Model": dict(model)},
        }
        self.aws["lambda"].invoke(FunctionName=self._function, Payload=json.dumps(event))
        return request

    def answered(self, requests: list[str], within: float) -> int:
        """Wait; how many have an answer then. Why some are no good ones is said on standard error."""
        until = time.perf_counter() + within
        while time.perf_counter() < until and not all(request in self._inbox.answers for request in requests):
            time.sleep(0.05)
        bodies = [self._inbox.answers[request][1] for request in requests if request in self._inbox.answers]
        for reason in {body.get("Reason", "") for body in bodies if body["Status"] != "SUCCESS"}:
            print(f"answered with FAILED: {reason}", file=sys.stderr)
        return len(bodies)

    def good(self, requests: list[str]) -> int:
        """How many of those that were answered got an artifact."""
        return sum(self._inbox.answers.get(request, (0, {}))[1].get("Status") == "SUCCESS" for request in requests)

    def answered_at(self, request: str) -> float:
        return self._inbox.answers[request][0]

    def history(self, request: str) -> list[str]:
        """The types of the events of a request's execution."""
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:request-{request}"
        until = time.perf_counter() + 30
        while True:  # the answer comes before the execution's end
            status = self.aws["stepfunctions"].describe_execution(executionArn=arn)["status"]
            if status != "RUNNING" or time.perf_counter() > until:
                break
            time.sleep(0.05)
        pages = self.aws["stepfunctions"].get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event["type"] for page in pages for event in page["events"]]

    def jobs(self) -> int:
        pages = self.aws["sagemaker"].get_paginator("list_processing_jobs").paginate()
        return sum(len(page["ProcessingJobSummaries"]) for page in pages)


@contextmanager
def deployed() -> Iterator[Pipeline]:
    """The platform with one model, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        file, state = Path(folder) / "bench.yaml", Path(folder) / "state"
        file.write_text(FILE)
        inbox = Inbox()
        try:
            command: list[str | Path] = [NEURON_CDK, "local", "deploy", file, "--state", state, "--port", "0", "--json"]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            yield Pipeline(_address(state), inbox)
        finally:
            inbox.close()
            subprocess.run([NEURON_CDK, "local", "down", "--state", state, "--delete-state"], cwd=ROOT, check=True)


def _address(state: Path) -> str:
    done = subprocess.run(
        [NEURON_CDK, "local", "status", "--state", state, "--json"], cwd=ROOT, check=True, capture_output=True
    )
    return str(json.loads(done.stdout)["url"])


def hit(pipeline: Pipeline) -> dict[str, float]:
    """From the custom resource's request to its answer, for what is compiled already; the fastest of five."""
    best = float("inf")
    events: list[str] = []
    for _ in range(5):
        started = time.perf_counter()
        request = pipeline.ask(pipeline.model)
        pipeline.answered([request], 60)
        if not pipeline.good([request]):
            raise RuntimeError("a request for what is compiled already was not answered with it")
        best = min(best, pipeline.answered_at(request) - started)
        events = pipeline.history(request)
    entered = sum(each.endswith("StateEntered") for each in events)
    # One more than the execution's: the function behind the custom resource, which starts it.
    called = 1 + sum(each in ("LambdaFunctionScheduled", "TaskScheduled") for each in events)
    return {"hit, seconds": best, "hit, Lambda calls": called, "hit, state transitions": entered}


def burst(pipeline: Pipeline) -> dict[str, float]:
    """A hundred requests at once over ten keys that nobody has asked for: one batch size each."""
    models = [{**pipeline.model, "BatchSizes": [2 + number % KEYS]} for number in range(REQUESTS)]
    before, started = pipeline.jobs(), time.perf_counter()
    with ThreadPoolExecutor(REQUESTS) as pool:
        requests = list(pool.map(pipeline.ask, models))
    answered = pipeline.answered(requests, 900)
    return {
        "jobs for 10 keys": pipeline.jobs() - before,
        "answers to 100": answered,
        "artifacts among them": pipeline.good(requests),
        "all 100, seconds": time.perf_counter() - started,
    }


def compile_once() -> dict[str, float]:
    """Both, on one deployment."""
    with deployed() as pipeline:
        return {**hit(pipeline), **burst(pipeline)}


if __name__ == "__main__":
    print(json.dumps(compile_once(), indent=2))
