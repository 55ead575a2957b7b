"""What the documentation tells people to type works: commands exist, snippets run, excerpts are valid."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore import xform_name

from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
BESIDE = Path(sys.executable).parent


def test_a_command_that_is_shown_exists(command, embedded_aws):
    """``make`` targets, our commands and the CDK's with their flags, operations of AWS's command line, files named.

    What is sent to the embedded AWS is sent to one, and taken.
    """
    for part in re.split(r" && ", command):
        words = shlex.split(re.split(r" > ", part)[0])
        for word in words:
            if word.startswith(("deployments/", "tests/")):
                assert (ROOT / word).exists(), f"{word} is not there"
        if words[0] == "curl":
            _curl(words[1:], embedded_aws())
            continue
        check = CHECKS.get(words[0])
        assert check, f"nobody checks commands that begin with {words[0]!r}: {command}"
        check(words[1:])


def _make(arguments: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(arguments) <= set(targets)


def _neuron_cdk(arguments: list[str]) -> None:
    """Parsed by the command itself, which refuses what it does not know; not run."""
    from typer.main import get_command

    from neuron_cdk.cli.app import app

    command, context = get_command(app), None
    while True:
        context = command.make_context(command.name, list(arguments), parent=context)
        if not hasattr(command, "get_command"):
            return
        name, *arguments = [*context._protected_args, *context.args]
        command = command.get_command(context, name)
        assert command, f"there is no command {name}"


def _cdk(arguments: list[str]) -> None:
    known = set(re.findall(r"(?<!\S)--?[A-Za-z-]+", _cdk_help(arguments[0])))
    unknown = {word for word in arguments[1:] if word.startswith("-")} - known
    assert not unknown, f"cdk {arguments[0]} has no {', '.join(unknown)}"


@cache
def _cdk_help(subcommand: str) -> str:
    done = subprocess.run([BESIDE / "cdk", subcommand, "--help"], capture_output=True, text=True, check=False)
    assert f"cdk {subcommand}" in done.stdout, done.stderr
    return done.stdout


def _aws(arguments: list[str]) -> None:
    service, operation, *rest = arguments
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    taken = model.operation_model(operations[operation]).input_shape.members
    members = {f"--{xform_name(name, '-')}" for name in taken}
    assert {word for word in rest if word.startswith("--")} <= members


def _python(arguments: list[str]) -> None:
    assert arguments[0] == "-m"
    assert importlib.util.find_spec(arguments[1]), f"there is no module {arguments[1]}"


def _curl(arguments: list[str], aws: EmbeddedAws) -> None:
    """Only as ``curl [-X METHOD] http://127.0.0.1:4566/PATH [-d BODY]``."""
    options = argparse.ArgumentParser()
    options.add_argument("-X", default="GET")
    options.add_argument("-d")
    options.add_argument("url")
    given = options.parse_args(arguments)
    own = "http://127.0.0.1:4566"
    assert given.url.startswith(own)
    body = given.d.encode() if given.d else None
    request = urllib.request.Request(aws.url + given.url.removeprefix(own), body, method=given.X)
    with urllib.request.urlopen(request, timeout=300) as answer:
        assert answer.status == 200


def _anything(_arguments: list[str]) -> None:
    """Not ours, and known to everybody."""


CHECKS = {
    "make": _make,
    "neuron-cdk": _neuron_cdk,
    "cdk": _cdk,
    "aws": _aws,
    "python": _python,
    "python3": _python,
    "source": _anything,
    "pip": _anything,
    "export": _anything,
}


def test_a_python_snippet_runs(python_block, tmp_path, embedded_aws):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    if "boto3" in python_block.text:
        environment |= embedded_aws().environment("us-east-1")
    done = subprocess.run(
        [sys.executable, "-c", python_block.text],
        cwd=tmp_path,
        env={**environment, "CDK_OUTDIR": str(tmp_path / "out"), "PATH": f"{BESIDE}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_yaml_excerpt_is_valid(yaml_block, tmp_path):
    """As it stands, word for word, or behind what it leaves out."""
    from neuron_cdk import spec

    excerpt = yaml.safe_load(yaml_block.text)
    around = {
        "name": "excerpt",
        "environment": {"account": "111122223333", "region": "us-east-1"},
        "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "nat"},
    }
    file = tmp_path / "deployment.yaml"
    lacks = {key: value for key, value in around.items() if key not in excerpt}
    file.write_text((yaml.safe_dump(lacks) if lacks else "") + yaml_block.text)
    assert not spec.later(spec.load(file).deployment)


LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, target


@pytest.mark.parametrize("figure", ["$0.76", "$0.99", "$21.50"])
def test_the_prices_in_the_readme_are_the_catalogues(figure):
    from neuron_cdk.catalog import prices

    known = {
        f"${price.usd:.2f}"
        for price in (
            prices.on_demand_hourly("us-east-1", "inf2.xlarge"),
            prices.sagemaker_hourly("us-east-1", "ml.inf2.xlarge"),
            prices.on_demand_hourly("us-east-1", "trn1.32xlarge"),
        )
        if price
    }
    assert figure in known
    assert figure in (ROOT / "README.md").read_text()
