"""``neuron-cdk local up | status | logs | down``: quiet, one line for a failure, JSON for programs."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from neuron_cdk.local import EmbeddedAws
from neuron_cdk.local.commands import app


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    EmbeddedAws(folder).down()


@pytest.fixture
def local(state: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(app, [*words, "--state", str(state)])


def test_up_prints_the_url_and_nothing_else(local: Callable[..., Result], state: Path) -> None:
    started = local("up", "--port", "0")

    assert (started.exit_code, started.stderr) == (0, "")
    assert started.stdout == f"{EmbeddedAws(state).url}\n"


def test_status_says_what_runs(local: Callable[..., Result], clients_of: Any, operate_on: Any, state: Path) -> None:
    assert local("status").stdout == "not running\n"
    local("up", "--port", "0")
    aws = EmbeddedAws(state)
    operate_on(clients_of(aws), "create", "topics", {"Topic": {"Type": "AWS::SNS::Topic"}})

    told = local("status").stdout
    known = json.loads(local("status", "--json").stdout)

    pid = aws.status().pid
    assert told == f"running at {aws.url} (pid {pid})\n  stack topics: CREATE_COMPLETE\n"
    assert known == {
        "running": True,
        "url": aws.url,
        "pid": pid,
        "stacks": {"topics": "CREATE_COMPLETE"},
        "jobs": {},
        "endpoints": {},
    }


def test_logs_are_there_after_the_end_too(local: Callable[..., Result]) -> None:
    local("up", "--port", "0")
    local("down")

    assert "services available on port" in local("logs").stdout


def test_logs_of_nothing_is_one_line(local: Callable[..., Result], state: Path) -> None:
    failed = local("logs")

    assert failed.exit_code == 1
    assert failed.stderr == f"neuron-cdk: there are no logs in {state}: the embedded AWS has not run there\n"


@pytest.mark.parametrize("command", ["status", "down", "up", "logs"])
def test_a_state_folder_that_is_a_file_is_one_line_and_exit_status_two(command: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()

    failed = CliRunner().invoke(app, [command, "--state", str(taken)])

    assert (failed.exit_code, failed.stdout) == (2, "")
    assert failed.stderr == f"neuron-cdk: the state folder cannot be {taken}: {taken} is not a folder\n"


def test_a_port_in_use_is_one_line_and_exit_status_one(local: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        failed = local("up", "--port", str(port))

    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.startswith(f"neuron-cdk: port {port} is in use by ")
    assert failed.stderr.count("\n") == 1


def test_down_forgets_what_was_deployed_only_when_asked(local: Callable[..., Result], state: Path) -> None:
    local("up", "--port", "0")

    local("down")
    assert (state / "aws" / "saved" / "state.json").exists()
    local("down", "--delete-state")

    assert list(state.iterdir()) == []


def test_a_deploy_from_a_folder_without_an_app_starts_nothing(
    local: Callable[..., Result], state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path("deployments/local.yaml").resolve()
    monkeypatch.chdir(tmp_path)

    ended = local("deploy", str(file), "--port", "0")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "there is no cdk.json here" in ended.stderr
    assert not state.exists()
