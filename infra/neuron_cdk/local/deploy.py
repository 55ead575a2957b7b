"""``neuron-cdk local deploy``: the whole platform on this machine, by the CDK's own command line, then real requests.

The steps are those of a person on AWS: put the model in S3, bootstrap, synth, deploy, call the endpoint. The report
says what happened, read back from CloudFormation and the registry.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError
from rich.console import Console
from rich.table import Table

from .. import spec
from .cdk_cli import CdkCli, CdkError, StackRun, check_app
from .errors import LocalError
from .sample import INPUT, MODEL, MOST_FILES, OUTPUT, SOURCE, Sample, real_files
from .supervisor import EmbeddedAws

ACCOUNT = "000000000000"
_BOTO_ERRORS = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ResponseParserError)
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")


@dataclass
class Report:
    """What ``.local/report.json`` holds."""

    deployment: str
    changes: bool = False
    seconds: float = 0.0
    stacks: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)


def deploy(file: Path, aws: EmbeddedAws, *, console: Console, requests: int = 200) -> Report:
    """Deploy a file to the embedded AWS and send each of its endpoints so many ``requests``.

    :raises spec.SpecError: when the file is wrong.
    :raises LocalError: one sentence on what else went wrong; running again goes on where it stopped.
    """
    began, wall = time.monotonic(), time.time()
    deployment = spec.load(file).deployment
    account, region = deployment.environment.account, deployment.environment.region
    if account != ACCOUNT:
        raise LocalError(f"{file} is for account {account}; the embedded AWS is account {ACCOUNT}")
    check_app()
    state = aws.state_dir
    with _step(console, "embedded AWS"):
        aws.up()
    clients = Clients(aws.environment(region))
    cli = CdkCli(environment=aws.environment(region), log=state / "cdk.log", alive=aws.is_running)
    report = Report(deployment=deployment.name)
    try:
        if MODEL in deployment.models:
            with _step(console, "model in S3"):
                put_sample(clients, deployment)
        if not clients.stack("CDKToolkit"):
            with _step(console, "cdk bootstrap"):
                cli.bootstrap(account, region)
        runs = _deploy_stacks(cli, file, state / "cdk.out", console)
        report.stacks = [asdict(run) for run in runs]
        report.changes = any(run.changed for run in runs)
        report.models = _models(clients, deployment, since=wall)
        if deployment.endpoints:
            with _step(console, f"{requests} requests an endpoint"):
                report.endpoints = _endpoints(clients, deployment, requests)
    except (CdkError, *_BOTO_ERRORS) as error:
        raise _explained(error, clients, aws, deployment) from error
    report.seconds = round(time.monotonic() - began, 1)
    _write(state / "report.json", report)
    return report


class Clients:
    """boto3 against the embedded AWS, whatever account the person's shell is logged in to."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
        )
        self._url = environment["AWS_ENDPOINT_URL"]

    def client(self, service: str) -> Any:
        """A client that gives up soon: the embedded AWS is on this machine."""
        config = Config(retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}, read_timeout=120)
        return self._session.client(service, endpoint_url=self._url, config=config)

    def stack(self, name: str) -> dict[str, Any] | None:
        """A stack's description, or None when there is none that is whole."""
        try:
            (found,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except botocore.exceptions.ClientError:
            return None
        return found if found["StackStatus"].endswith("_COMPLETE") else None

    def outputs(self, name: str) -> dict[str, str]:
        """A stack's outputs by key."""
        stack = self.stack(name) or {}
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}


def put_sample(clients: Clients, deployment: spec.Deployment) -> None:
    """Put the sample model where ``deployments/local.yaml`` says it is, unless something lies there already."""
    model = deployment.models.get(MODEL)
    if model is None or not isinstance(model.source, spec.S3Source) or model.source.s3 != SOURCE:
        return
    bucket, _, prefix = model.source.s3.removeprefix("s3://").partition("/")
    s3 = clients.client("s3")
    try:
        s3.head_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError:
        s3.create_bucket(Bucket=bucket)
    if not s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents"):
        s3.put_object(
            Bucket=bucket, Key=f"{prefix}model.onnx", Body=Sample().model.read_bytes(), ChecksumAlgorithm="SHA256"
        )


def _deploy_stacks(cli: CdkCli, file: Path, out: Path, console: Console) -> list[StackRun]:
    with console.status("cdk deploy") as status:
        running: list[str] = []

        def progress(stack: str, run: StackRun | None) -> None:
            if run is None:
                running.append(stack)
            else:
                if stack in running:
                    running.remove(stack)
                what = f"{run.seconds:.1f} s" if run.changed else "no changes"
                console.print(f"  [green]✓[/] {run.name} [dim]{what}[/]")
            status.update("cdk deploy " + ", ".join(running))

        return cli.deploy(file, out, progress)


def _models(clients: Clients, deployment: spec.Deployment, *, since: float) -> dict[str, dict[str, Any]]:
    """Each model's artifact, as the registry has it; a miss is one that was compiled in this run."""
    table = clients.outputs(f"{deployment.name}-Artifacts")["RegistryTable"]
    database = clients.client("dynamodb")
    stacks = [f"{deployment.name}-Models", *(f"{deployment.name}-Endpoint-{name}" for name in deployment.endpoints)]
    keys = {
        name: key
        for stack in stacks
        for name, key in json.loads(clients.outputs(stack).get("ArtifactKeys", "{}")).items()
    }
    models = {}
    for name, key in keys.items():
        item = database.get_item(TableName=table, Key={"artifact_key": {"S": key}}, ConsistentRead=True)["Item"]
        models[name] = {
            "artifact_key": key,
            "artifact_uri": item["artifact_uri"]["S"],
            "cache": "miss" if float(item["registered_at"]["N"]) >= since else "hit",
            "compile_seconds": float(item["compile_seconds"]["N"]),
        }
    return models


def _endpoints(clients: Clients, deployment: spec.Deployment, requests: int) -> dict[str, dict[str, Any]]:
    """Requests to each endpoint that answers at once with the sample; how its answers compare with the original."""
    answers = {}
    for name, endpoint in deployment.endpoints.items():
        physical = clients.outputs(f"{deployment.name}-Endpoint-{name}")["EndpointName"]
        answers[name] = {"endpoint_name": physical, "model": endpoint.model}
        if endpoint.model == MODEL and endpoint.mode == "realtime":
            answers[name] |= call_sample(clients, physical, requests)
    return answers


def call_sample(clients: Clients, endpoint: str, requests: int) -> dict[str, Any]:
    """Send so many ``requests`` about real files; latencies in milliseconds, agreement as a share of the files."""
    sample = Sample()
    files = real_files(Path.cwd(), most=min(requests, MOST_FILES))
    names, contents = list(files), list(files.values())
    rows = [sample.features(content) for content in contents]
    runtime = clients.client("sagemaker-runtime")
    scores: dict[int, list[float]] = {}
    latencies = []
    for number in range(requests):
        index = number % len(rows)
        body = json.dumps({"inputs": {INPUT: [rows[index]]}})
        started = time.perf_counter()
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body)
        content = answer["Body"].read()
        latencies.append((time.perf_counter() - started) * 1000)
        scores[index] = json.loads(content)["outputs"][OUTPUT][0]
    original = sample.original(rows)
    package = sample.package_labels(contents)
    labels = {names[index]: sample.label(row) for index, row in scores.items()}
    agree = sum(
        sample.label(scores[index]) == sample.label(original[index]) == package[index] for index in range(len(rows))
    )
    difference = max(
        abs(ours - theirs) for index in scores for ours, theirs in zip(scores[index], original[index], strict=True)
    )
    latencies.sort()
    return {
        "requests": requests,
        "p50_ms": round(latencies[len(latencies) // 2], 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)], 2),
        "agreement": round(agree / len(rows), 4),
        "max_difference": difference,
        "files": labels,
    }


def show(report: Report, console: Console) -> None:
    """The report as tables, those of what the deployment has."""
    stacks = Table("stack", "time", title=None, box=None, header_style="bold")
    for run in report.stacks:
        stacks.add_row(run["name"], f"{run['seconds']:.1f} s" if run["changed"] else "no changes")
    console.print(stacks)
    models = Table("model", "artifact key", "cache", "compile", box=None, header_style="bold")
    for name, model in report.models.items():
        models.add_row(name, model["artifact_key"][:16] + "…", model["cache"], f"{model['compile_seconds']:.1f} s")
    if report.models:
        console.print(models)
    endpoints = Table("endpoint", "requests", "p50", "p99", "agrees with the original", box=None, header_style="bold")
    for name, endpoint in report.endpoints.items():
        if "requests" in endpoint:
            endpoints.add_row(
                name,
                str(endpoint["requests"]),
                f"{endpoint['p50_ms']:.1f} ms",
                f"{endpoint['p99_ms']:.1f} ms",
                f"{endpoint['agreement']:.0%}, within {endpoint['max_difference']:.0e}",
            )
    if report.endpoints:
        console.print(endpoints)
    for endpoint in report.endpoints.values():
        some = list(endpoint.get("files", {}).items())[:4]
        if some:
            console.print("  " + ", ".join(f"{name} is {label}" for name, label in some), style="dim")
    what = "deployed" if report.changes else "no changes"
    console.print(f"[bold]{report.deployment}: {what}[/], {report.seconds:.0f} s")


def _explained(error: Exception, clients: Clients, aws: EmbeddedAws, deployment: spec.Deployment) -> LocalError:
    """The first cause, in one sentence: the server that went away, or the resource that could not be made."""
    if not aws.is_running():
        return LocalError(f"the embedded AWS stopped during the deploy (log: {aws.logs_path}); run the same again")
    reason = None
    with suppress(*_BOTO_ERRORS):  # what failed may be what would be asked
        reason = _first_failure(clients, deployment)
    if reason or not isinstance(error, LocalError):
        return LocalError(reason or " ".join(str(error).split()))
    return error


def _first_failure(clients: Clients, deployment: spec.Deployment) -> str | None:
    """The first resource that failed in the newest operation of the stack that was rolled back last."""
    cloudformation = clients.client("cloudformation")
    stacks = [
        stack
        for stack in cloudformation.describe_stacks()["Stacks"]
        if stack["StackName"].startswith(f"{deployment.name}-") and "ROLLBACK" in stack["StackStatus"]
    ]
    if not stacks:
        return None
    failed = max(stacks, key=lambda stack: stack.get("LastUpdatedTime", stack["CreationTime"]))["StackName"]
    failure = None
    for event in cloudformation.describe_stack_events(StackName=failed)["StackEvents"]:  # newest first
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", ""):
            failure = f"{failed} rolled back: {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        if event["LogicalResourceId"] == failed and event["ResourceStatus"] in _BEGINNINGS:
            break
    return failure


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(what):
        yield
    console.print(f"  [green]✓[/] {what} [dim]{time.monotonic() - started:.1f} s[/]")


def _write(path: Path, report: Report) -> None:
    """All of it or the old one: never half a report."""
    half = path.with_suffix(".part")
    half.write_text(json.dumps(asdict(report), indent=2) + "\n")
    os.replace(half, path)
