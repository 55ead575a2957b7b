"""An instance in a folder: cloud-init's part done as cloud-init does it, its paths below the folder, what only an
instance has stood in for (``standins/``), its metadata a real HTTP server. Scripts and units run as they are."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from neuron_cdk.fleet.user_data import Boot, user_data

STAND_INS = Path(__file__).resolve().parent / "standins"
LAMBDA = Path(__file__).resolve().parents[2] / "lambda"
KEY = "ab" * 32
URI = f"s3://bucket/artifacts/{KEY}/a1/"
IMAGE = "763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-inference-neuronx:2.9.0"

# Everything of an instance that lies outside the stand-ins; /dev/null and the container's /opt/ml stay what they are.
PATHS = re.compile(r"(?<![\w.:])/(opt/(?:neuron-cdk|aws|amazon|dlami)|etc|run|mnt|dev(?!/null)|proc/sys|sys/block)\b")

# Waits of seconds and minutes, in a test's time.
WAITS = {
    "PAUSE_S = 5.0": "PAUSE_S = 0.1",
    "HEARTBEAT_S = 20.0": "HEARTBEAT_S = 0.3",
    "LEAVE_S = 35.0": "LEAVE_S = 1.0",
    "SILENT = 12": "SILENT = 5",
    "/usr/bin/python3": sys.executable,
    "/usr/bin/docker": "docker",
}


class Metadata:
    """IMDSv2: an item is given only to who brings a token."""

    def __init__(self) -> None:
        self.items = {"instance-id": "i-1", "instance-type": "inf2.xlarge"}
        self.tokens: set[str] = set()
        metadata = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
                token = f"token-{len(metadata.tokens)}"
                metadata.tokens.add(token)
                self.answer(200 if self.path == "/latest/api/token" else 404, token)

            def do_GET(self) -> None:
                item = metadata.items.get(self.path.removeprefix("/latest/meta-data/"))
                if self.headers["X-aws-ec2-metadata-token"] not in metadata.tokens:
                    self.answer(401, "")
                else:
                    self.answer(200 if item else 404, item or "")

            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class Instance:
    """One machine; ``start(boot)`` is its first boot."""

    def __init__(self, root: Path, metadata: Metadata) -> None:
        self.root = root
        self.metadata = metadata
        self.waits = dict(WAITS)
        for folder in ("bin", "aws", "etc/security/limits.d", "etc/sysctl.d", "etc/systemd/system", "run", "mnt"):
            (root / folder).mkdir(parents=True)
        for folder in (
            "opt/aws/neuron/bin",
            "opt/amazon/efa/bin",
            "dev/disk/by-id",
            "dev/md",
            "proc/sys/vm",
            "sys/block",
        ):
            (root / folder).mkdir(parents=True)
        (root / "proc/sys/vm/nr_hugepages").write_text("0\n")
        for program in STAND_INS.glob("*.py"):
            self.program(f"bin/{program.stem}", f'exec {sys.executable} {program} "$@"', note=False)
        self.program("bin/sleep", note=False)
        self.group = "Pending:Wait"
        self.neuron(1)
        self.program("opt/aws/neuron/bin/neuron-monitor", note=False)

    # -- its parts -----------------------------------------------------------------------------------------------

    def program(self, path: str, body: str = "", *, note: bool = True) -> None:
        """A stand-in in bash; ``calls(name)`` has the arguments of each call."""
        file = self.root / path
        noting = f'printf "%s\\n" "$*" >> {self.root}/{file.name}.calls\n' if note else ""
        file.write_text(f"#!/bin/bash\n{noting}{body}\n")
        file.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        notes = self.root / f"{name}.calls"
        return notes.read_text().splitlines() if notes.exists() else []

    def neuron(self, count: int, *, cores: int = 2, nodes: int | None = None, option: str = "--json-output") -> None:
        """``count`` devices in the form that neuron-ls gives them."""
        listed: Any = [
            {
                "neuron_device": n,
                "bdf": f"0000:00:1{n}.0",
                "connected_to": None,
                "nc_count": cores,
                "neuron_processes": [],
            }
            for n in range(count)
        ]
        if option != "--json-output":
            listed = {"instance_type": "inf2.xlarge", "ultraserver": {}, "neuron_devices": listed}
        failure = "echo 'level=fatal error=\"failed to discover Neuron devices\"' >&2; exit 1"
        body = f"cat <<'J'\n{json.dumps(listed)}\nJ" if count else failure
        self.program("opt/aws/neuron/bin/neuron-ls", f'[[ "$*" == "{option}" ]] || exit 2\n{body}', note=False)
        for node in (self.root / "dev").glob("neuron*"):
            node.unlink()
        for n in range(count if nodes is None else nodes):
            (self.root / f"dev/neuron{n}").touch()

    @property
    def group(self) -> str:
        """The instance's lifecycle state in its group."""
        return (self.root / "aws/lifecycle").read_text()

    @group.setter
    def group(self, state: str) -> None:
        (self.root / "aws/lifecycle").write_text(state)

    def fail(self, call: str, times: int) -> None:
        """Have the next calls of the AWS CLI fail."""
        (self.root / f"aws/fail {call}").write_text(str(times))

    @property
    def completed(self) -> list[str]:
        """Lifecycle actions that were completed: hook and result."""
        file = self.root / "aws/completed"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def downloaded(self) -> list[str]:
        file = self.root / "aws/downloaded"
        return file.read_text().splitlines() if file.exists() else []

    def aws_calls(self, *start: str) -> list[list[str]]:
        file = self.root / "aws/calls"
        words = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [each for each in words if each[: len(start)] == list(start)]

    # -- its life ------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "NEURON_"))}
        return {
            **kept,
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "INSTANCE_ROOT": str(self.root),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url,
            "PYTHONPATH": str(LAMBDA),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def moved(self, text: str) -> str:
        for wait, short in self.waits.items():
            text = text.replace(wait, short)
        return PATHS.sub(rf"{self.root}/\1", text)

    def install(self, boot: Boot) -> None:
        """What cloud-init does at the first boot, but for the last command, which starts the units."""
        document = yaml.safe_load(user_data(boot))
        for entry in document["write_files"]:
            place = Path(self.moved(entry["path"]))
            place.parent.mkdir(parents=True, exist_ok=True)
            content = entry["content"]
            if entry.get("encoding") == "gz+b64":
                place.write_bytes(self._moved_tar(gzip.decompress(base64.b64decode(content))))
            else:
                place.write_text(self.moved(content) if entry["path"].endswith("commands") else content)
            place.chmod(int(entry["permissions"], 8))
        *before, self.last = (
            [str(self.root) if word == "/" else self.moved(word) for word in command] for command in document["runcmd"]
        )
        for command in before:
            subprocess.run(command, env=self.environment(), check=True)

    def _moved_tar(self, archive: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=out, mode="w") as new:
            for member in old.getmembers():
                file = old.extractfile(member)
                assert file
                content = self.moved(file.read().decode()).encode()
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
        return out.getvalue()

    def systemctl(self, *words: str) -> int:
        return subprocess.run(["systemctl", *words], env=self.environment(), check=False).returncode

    def status(self, unit: str) -> int | None:
        """The exit status of a unit's command; None while it runs."""
        file = self.root / f"systemd/{unit}.service.status"
        return int(file.read_text()) if file.exists() else None

    def ended(self, unit: str, seconds: float = 300) -> int:
        """Wait for a unit's command."""
        return eventually(lambda: self.status(unit), f"{unit} ends", seconds=seconds, what=lambda: self.journal)

    def start(self, boot: Boot) -> int:
        """The first boot; the exit status of the boot unit."""
        self.install(boot)
        subprocess.run(self.last, env=self.environment(), check=True)
        return self.ended("neuron-boot")

    def boot_again(self) -> int:
        """The boot unit once more, on the machine as it is."""
        (self.root / "systemd/neuron-boot.service.status").unlink(missing_ok=True)
        self.systemctl("restart", "neuron-boot.service")
        return self.ended("neuron-boot")

    def reboot(self) -> int:
        """Power off and on: processes and /run are gone, disks stay."""
        self.kill()
        for file in sorted((self.root / "run").rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        self.systemctl("start", "neuron-drain.service")
        return self.boot_again()

    def kill(self, unit: str = "*") -> None:
        """Every process of the machine, or of a unit, at once."""
        for file in (self.root / "systemd").glob(f"{unit}.service.pid"):
            with suppress(ProcessLookupError):
                os.killpg(int(file.read_text()), signal.SIGKILL)
            file.unlink()

    @property
    def journal(self) -> str:
        """What the units printed."""
        return "".join(file.read_text() for file in sorted((self.root / "systemd").glob("*.log")))

    # -- its server ----------------------------------------------------------------------------------------------

    def get(self, port: int, path: str = "/ping") -> int:
        """The status, 0 when nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0


def eventually(probe: Callable[[], Any], saying: str, *, seconds: float = 300, what: Any = "") -> Any:
    """Wait until the probe gives something: true, not empty, or an exit status."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = probe()
        if found or type(found) is int:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not in {seconds} s: {saying}\n{what() if callable(what) else what}")
