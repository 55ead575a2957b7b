"""Measure, print, and write ``benchmarks/results/latest.json``.

``python -m benchmarks NAME…`` measures some of it only.

Machines are shared and noisy: what is compared runs in turns, and of each the fastest run counts, which is the one that
was disturbed least. Nothing here passes or fails; the targets stand beside the figures.
"""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .compile_once import compile_once
from .faults import faults

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
NEURON_CDK = Path(sys.executable).with_name("neuron-cdk")

EMPTY_APP = """
import json, os
import aws_cdk as cdk
app = cdk.App(outdir=os.environ["CDK_OUTDIR"], context=json.load(open("cdk.json"))["context"])
stack = cdk.Stack(app, "Empty", env=cdk.Environment(account="111122223333", region="us-east-1"))
cdk.CfnWaitConditionHandle(stack, "Nothing")
app.synth()
"""
BARE_CLIENT = "import boto3; boto3.client('stepfunctions', region_name='us-east-1')"
HOOK_CLIENT = "import neuron_hooks.compile.compiled_model; from neuron_hooks import aws; aws.client('stepfunctions')"
HOOK_SETTINGS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "REGISTRY_TABLE": "registry",
    "REQUEST_MACHINE_ARN": "arn:aws:states:us-east-1:111122223333:stateMachine:request",
    "DEADLINE_SECONDS": "3300",
    "POLL_SECONDS": "15",
    "PYTHONPATH": str(ROOT / "lambda"),
}

NO_FLEETS = """
name: many
environment: {account: "111122223333", region: us-east-1}
network: {cidr: 10.0.0.0/16, availability_zones: [use1-az5, use1-az6], egress: nat}
"""
# One pool with its controller.
FLEET = """  f%d:
    purpose: inference
    instance_types: [inf2.xlarge]
    size: {min: 1, max: 8}
"""


def fastest(commands: Mapping[str, Sequence[str | Path]], *, runs: int, env: Mapping[str, str]) -> dict[str, float]:
    """Wall time in seconds of the fastest of several runs of each command, taken in turns after one warm-up."""
    best = dict.fromkeys(commands, float("inf"))
    for turn in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True, stdout=subprocess.DEVNULL)
            if turn:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def synth() -> dict[str, float]:
    """All stacks of the sandbox against an empty app, each as the CDK's command line runs it."""
    app = json.loads((ROOT / "cdk.json").read_text())["app"].split()
    with tempfile.TemporaryDirectory() as out:
        context = json.dumps({"deployment": "deployments/sandbox.yaml"})
        best = fastest(
            {"empty app": [sys.executable, "-c", EMPTY_APP], "sandbox": [sys.executable, *app[1:]]},
            runs=5,
            env={"CDK_OUTDIR": out, "CDK_CONTEXT_JSON": context},
        )
    return {**best, "ratio": best["sandbox"] / best["empty app"]}


def fleets() -> dict[str, float]:
    """What one more fleet costs at synth, in milliseconds, where there are 20 and where there are 200."""
    app = json.loads((ROOT / "cdk.json").read_text())["app"].split()
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, Sequence[str | Path]] = {}
        for count in (0, 20, 200):
            file = Path(folder) / f"{count}.yaml"
            file.write_text(
                NO_FLEETS + ("fleets:\n" if count else "") + "".join(FLEET % number for number in range(count))
            )
            context = json.dumps({"deployment": str(file)})
            commands[str(count)] = ["env", f"CDK_CONTEXT_JSON={context}", sys.executable, *app[1:]]
        best = fastest(commands, runs=3, env={"CDK_OUTDIR": str(Path(folder) / "out")})
    few, many = ((best[str(count)] - best["0"]) / count * 1000 for count in (20, 200))
    return {"ms at 20": few, "ms at 200": many, "ratio": many / few}


def validate() -> dict[str, float]:
    """``neuron-cdk validate`` of the largest file we have."""
    files = [*ROOT.glob("deployments/*.yaml"), *ROOT.glob("tests/spec/*.yaml")]
    largest = max(files, key=lambda file: file.stat().st_size)
    return fastest({"validate": [NEURON_CDK, "validate", largest]}, runs=7, env={})


def cold_start() -> dict[str, float]:
    """Importing a hook and making its first client, against boto3 and the same client alone."""
    best = fastest(
        {"boto3": [sys.executable, "-c", BARE_CLIENT], "hook": [sys.executable, "-c", HOOK_CLIENT]},
        runs=9,
        env=HOOK_SETTINGS,
    )
    return {**best, "ratio": best["hook"] / best["boto3"]}


def hook_asset() -> dict[str, float]:
    """Size of what every hook is deployed from, zipped."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((ROOT / "lambda" / "neuron_hooks").rglob("*.py")):
            archive.write(file, file.relative_to(ROOT / "lambda"))
    return {"KB": len(content.getvalue()) / 1000}


def deploy_local() -> dict[str, float]:
    """The whole platform from nothing, then again with nothing changed."""
    with tempfile.TemporaryDirectory() as state:
        where = ["--state", state, "--port", "0", "--json"]
        command: list[str | Path] = [NEURON_CDK, "local", "deploy", "deployments/local.yaml", *where]
        times = {}
        try:
            for run in ("first", "unchanged"):
                started = time.perf_counter()
                subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
                times[run] = time.perf_counter() - started
        finally:
            subprocess.run([NEURON_CDK, "local", "down", "--state", state, "--delete-state"], cwd=ROOT, check=True)
    return times


MEASURED = {
    "synth of the sandbox": (synth, "ratio at most 2.0"),
    "synth of a fleet": (fleets, "at most 60 ms (aim 30), ratio at most 1.2"),
    "neuron-cdk validate, largest file": (validate, "under 0.5 s"),
    "hook cold start": (cold_start, "ratio at most 1.2"),
    "hook asset, zipped": (hook_asset, "at most 300 KB"),
    "deploy-local": (deploy_local, "first under 120 s, unchanged under 45 s"),
    "compile once": (
        compile_once,
        "a hit under 5 s, at most 3 Lambda calls and 8 state transitions; 10 jobs, 100 answers, 100 artifacts",
    ),
}


_FAULTS = "faults"


def main(names: Sequence[str]) -> None:
    """Measure what is named, or everything; the rest of the file stays, each part with the time it was measured."""
    known = [*MEASURED, _FAULTS]
    if unknown := set(names) - set(known):
        sys.exit(f"nothing is called {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    console = Console()
    table = Table("what", "measured", "target", box=None, header_style="bold")
    results: dict[str, object] = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else {}
    for name, (measure, target) in MEASURED.items():
        if names and name not in names:
            continue
        with console.status(name):
            figures = {key: round(value, 3) for key, value in measure().items()}
        results[name] = {"at": _now(), **figures}
        table.add_row(name, ", ".join(f"{key} {value:.2f}" for key, value in figures.items()), target)
    console.print(table)
    if not names or _FAULTS in names:
        with console.status(_FAULTS):
            results[_FAULTS] = {"at": _now(), **_disturbed(console)}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


def _disturbed(console: Console) -> dict[str, object]:
    table = Table("a fault at every call, one at a time", "calls", "faults", "outcome", box=None, header_style="bold")
    rows = faults()
    for what, row in rows.items():
        table.add_row(what, str(row.calls), ", ".join(row.faults), row.outcome)
    console.print(table)
    return {what: {"calls": row.calls, "faults": row.faults, "outcome": row.outcome} for what, row in rows.items()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


if __name__ == "__main__":
    main(sys.argv[1:])
