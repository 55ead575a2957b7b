"""The embedded AWS starts, is found, dies and ends: one of it, on loopback, with nothing left behind."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws, LocalError

Clients = Callable[[str], Any]


def _processes_of(folder: Path) -> list[str]:
    """Command lines of the living processes whose folder or command is below ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if command and (str(folder) in command or where.startswith(str(folder))):
            found.append(f"{process.name} {command}")
    return found


@pytest.fixture
def busy(own_aws: EmbeddedAws, clients_of: Any, job_request: Any, eventually: Any, tmp_path: Path) -> Clients:
    """An embedded AWS in the middle of a job and of a Lambda function; its clients."""
    own_aws.up()
    client: Clients = clients_of(own_aws)
    client("s3").create_bucket(Bucket="busy")
    client("s3").put_object(
        Bucket="busy",
        Key="code/main.py",
        Body="import subprocess, time\nsubprocess.Popen(['sleep', '599'])\ntime.sleep(600)\n",
    )
    client("sagemaker").create_processing_job(**job_request("busy"))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "import time\ndef handler(event, context):\n    time.sleep(600)\n")
    client("lambda").create_function(
        FunctionName="sleeper",
        Runtime="python3.13",
        Handler="main.handler",
        Role="arn:aws:iam::000000000000:role/neuron",
        Code={"ZipFile": code.getvalue()},
        Timeout=900,
    )
    client("lambda").invoke(FunctionName="sleeper", InvocationType="Event")
    eventually(lambda: any("sleep 599" in line for line in _processes_of(tmp_path)))
    eventually(lambda: any("ministack-lambda-sleeper" in line for line in _processes_of(tmp_path)))
    return client


def test_up_answers_on_loopback_only(own_aws: EmbeddedAws) -> None:
    own_aws.up()
    port = int(own_aws.url.rpartition(":")[2])

    status = own_aws.status()

    assert (status.running, status.url) == (True, f"http://127.0.0.1:{port}")
    listening = [
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    assert listening == [f"0100007F:{port:04X}"]
    inodes = {
        link.partition("[")[2].rstrip("]")
        for link in (os.readlink(handle) for handle in Path(f"/proc/{status.pid}/fd").iterdir())
        if link.startswith("socket:")
    }
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6", "udp", "udp6")]
    sockets = [line.split() for table in tables for line in table]
    open_to_others = {local for _, local, _, state, *rest in sockets if rest[5] in inodes and state in ("0A", "07")}
    assert open_to_others == set(listening)


def test_a_second_up_joins_the_first(own_aws: EmbeddedAws) -> None:
    own_aws.up()
    first = own_aws.status()

    again = EmbeddedAws(own_aws.state_dir)
    again.up()

    assert (again.status().pid, again.url) == (first.pid, first.url)


def test_of_two_ups_at_once_one_starts_and_the_other_joins(own_aws: EmbeddedAws) -> None:
    others = [EmbeddedAws(own_aws.state_dir, port=0) for _ in range(2)]
    threads = [threading.Thread(target=other.up) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert others[0].status().running
    assert others[0].status().pid == others[1].status().pid


def test_a_port_in_use_is_one_sentence_with_the_port_and_the_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        aws = EmbeddedAws(tmp_path, port=port)

        with pytest.raises(LocalError) as caught:
            aws.up()

    name = Path("/proc/self/comm").read_text().strip()
    assert str(caught.value) == (
        f"port {port} is in use by {name} (pid {os.getpid()}): stop it, or choose another port with --port"
    )
    assert not aws.status().running
    assert _processes_of(tmp_path) == []


def test_down_ends_every_process_and_removes_every_temporary_folder(
    own_aws: EmbeddedAws, busy: Clients, tmp_path: Path
) -> None:
    own_aws.down()

    assert not own_aws.status().running
    assert _processes_of(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "state" / "aws").iterdir()) == [
        "saved",
        "server.lock",
        "server.log",
        "up.lock",
    ]


def test_down_that_deletes_the_state_leaves_nothing(own_aws: EmbeddedAws) -> None:
    own_aws.up()

    own_aws.down(delete_state=True)

    assert list(own_aws.state_dir.iterdir()) == []


def test_down_without_a_running_one_is_fine(own_aws: EmbeddedAws) -> None:
    own_aws.down()

    assert not own_aws.status().running


def test_a_killed_server_takes_its_processes_along(
    own_aws: EmbeddedAws, busy: Clients, eventually: Any, tmp_path: Path
) -> None:
    pid = own_aws.status().pid
    assert pid

    os.kill(pid, signal.SIGKILL)

    eventually(lambda: _processes_of(tmp_path) == [])
    assert not own_aws.status().running


def test_a_server_that_cannot_be_put_together_says_why(own_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The additions take hold of ministack by name: start it without one of those names."""
    import neuron_cdk.local.supervisor as supervisor

    run = subprocess.run

    def without_a_name(command: list[Any], **keywords: Any) -> Any:
        library = Path(keywords["env"]["PYTHONPATH"])
        (library / "sitecustomize.py").write_text(
            "import ministack.services.stepfunctions as module\ndel module._emit_execution_status_event\n"
        )
        return run(command, **keywords)

    monkeypatch.setattr(supervisor.subprocess, "run", without_a_name)

    with pytest.raises(LocalError) as caught:
        own_aws.up()

    assert str(caught.value) == (
        "the embedded AWS ended while it started: the embedded AWS cannot be put together: "
        "ministack's ministack.services.stepfunctions has no _emit_execution_status_event, which the additions need"
    )


def test_an_interrupted_up_leaves_nothing_running(tmp_path: Path, eventually: Any) -> None:
    program = (
        "import sys, pathlib\n"
        "from neuron_cdk.local import EmbeddedAws\n"
        "EmbeddedAws(pathlib.Path(sys.argv[1]), port=0).up(progress=lambda text: print(text, flush=True))\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    starting = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    )
    eventually(lambda: (tmp_path / "aws" / "server.json").exists())

    starting.send_signal(signal.SIGINT)
    starting.communicate()

    assert not EmbeddedAws(tmp_path).status().running
    assert _processes_of(tmp_path) == []


def test_its_environment_keeps_every_client_away_from_aws(own_aws: EmbeddedAws) -> None:
    own_aws.up()

    variables = own_aws.environment("eu-west-1")

    assert variables["AWS_ENDPOINT_URL"] == variables["AWS_ENDPOINT_URL_S3"] == own_aws.url
    assert (variables["AWS_REGION"], variables["AWS_DEFAULT_REGION"]) == ("eu-west-1", "eu-west-1")
    assert variables["AWS_SHARED_CREDENTIALS_FILE"] == variables["AWS_CONFIG_FILE"] == os.devnull
