"""``doctor`` and ``fleets`` where AWS is out of reach: one line, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION, LOCAL = "deployments/production.yaml", "deployments/local.yaml"
COMMANDS = [
    ["doctor", "FILE"],
    ["fleets", "list", "FILE"],
    ["fleets", "scale", "FILE", "serve", "2"],
]
EVERY_COMMAND = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``neuron-cdk`` in a shell that is logged in nowhere."""

    def start(command: list[str], file: str, **variables: str) -> subprocess.CompletedProcess[str]:
        script = f"import sys; sys.path.insert(0, {str(ROOT / 'infra')!r}); import neuron_cdk.cli as cli; cli.main()"
        bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
        return subprocess.run(
            [sys.executable, "-c", script, *[file if word == "FILE" else word for word in command]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            env=bare | variables,
        )

    return start


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a server that answers everything with a page, as a proxy with a login does."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html><br>\n<p>Log in</html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@EVERY_COMMAND
def test_a_file_that_is_not_valid_is_2(command: list[str], run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: Broken\n")

    done = run(command, str(broken))

    assert done.returncode == 2
    assert "NCDK-NAME-001" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{broken}: not valid, ")
    assert done.stderr == ""


@EVERY_COMMAND
def test_a_missing_file_is_2(command: list[str], run: Run) -> None:
    done = run(command, "nowhere.yaml")

    assert done.returncode == 2
    assert done.stdout == "nowhere.yaml: error NCDK-FILE-001 the file cannot be read: no such file or directory\n"


@EVERY_COMMAND
def test_no_embedded_aws_is_1_and_says_how_to_start_one(command: list[str], run: Run, tmp_path: Path) -> None:
    done = run([*command, "--state", str(tmp_path)], LOCAL)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"neuron-cdk: the file is for account 000000000000, the embedded AWS, and none runs in {tmp_path}: "
        "start it with neuron-cdk local up, or name its folder with --state\n"
    )


@EVERY_COMMAND
def test_no_credentials_is_1(command: list[str], run: Run) -> None:
    done = run(command, PRODUCTION)

    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "there are no credentials" in said
    assert "log in, or set AWS_PROFILE" in said
    assert "Traceback" not in done.stderr


@EVERY_COMMAND
def test_a_profile_that_is_not_there_is_1_and_one_line(command: list[str], run: Run) -> None:
    done = run(command, PRODUCTION, AWS_PROFILE="nobody")

    assert done.returncode == 1
    assert done.stderr == (
        "neuron-cdk: The config profile (nobody) could not be found: log in again, or set AWS_PROFILE\n"
    )


@EVERY_COMMAND
def test_no_way_to_aws_is_1(command: list[str], run: Run) -> None:
    key = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    done = run(command, PRODUCTION, AWS_ENDPOINT_URL="http://127.0.0.1:1", **key)

    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_doctors_json_is_json_however_it_ends(run: Run) -> None:
    done = run(["doctor", "FILE", "--json"], PRODUCTION)

    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"]) == (1, False)
    assert told["findings"][0]["code"] == "NCDK-DOCTOR-001"


@pytest.mark.parametrize("words", [["-1"], ["--", "-1"]], ids=" ".join)
def test_a_negative_size_is_2_and_says_what_is_allowed(words: list[str], run: Run) -> None:
    done = run(["fleets", "scale", "FILE", "serve", *words], PRODUCTION)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "neuron-cdk: fleet serve: a target of -1 is not within 2 to 24, the file's sizes\n"


def test_an_unknown_option_beside_a_size_is_2(run: Run) -> None:
    assert run(["fleets", "scale", "FILE", "serve", "2", "--now"], PRODUCTION).returncode == 2


@EVERY_COMMAND
@pytest.mark.parametrize("below", [".", "below"])
def test_a_state_folder_that_is_a_file_is_2(command: list[str], below: str, run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()

    done = run([*command, "--state", str(taken / below)], LOCAL)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"neuron-cdk: the state folder cannot be {taken / below}: {taken} is not a folder\n"


@EVERY_COMMAND
def test_an_endpoint_that_is_not_aws_is_1(command: list[str], run: Run, page: str) -> None:
    key = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    done = run(command, PRODUCTION, AWS_ENDPOINT_URL=page, **key)

    assert done.returncode == 1
    assert "what came for sts:GetCallerIdentity is no answer of AWS's" in done.stdout + done.stderr
    assert "check the network, proxies and AWS_ENDPOINT_URL" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["doctor", "FILE"], ["fleets", "list", "FILE"], ["fleets", "show", "FILE", "a"]])
def test_a_failure_is_json_where_json_is_asked_for(command: list[str], run: Run, tmp_path: Path) -> None:
    file = tmp_path / "with-a-fleet.yaml"
    file.write_text(
        "name: shown\n"
        'environment: {account: "000000000000", region: us-east-1}\n'
        "network: {cidr: 10.40.0.0/16, availability_zones: 2, egress: nat}\n"
        "fleets: {a: {purpose: inference, instance_types: [inf2.xlarge], size: {min: 0, max: 1}}}\n"
    )

    done = run([*command, "--json", "--state", str(tmp_path)], str(file))

    assert (done.returncode, done.stderr) == (1, "")
    assert f"none runs in {tmp_path}: start it with" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("words", [["list"], ["show"]], ids=" ".join)
def test_fleets_json_of_a_file_that_is_not_valid_is_json(words: list[str], run: Run) -> None:
    done = run(["fleets", *words, "FILE", *["serve"] * (words == ["show"]), "--json"], "nowhere.yaml")

    assert done.returncode == 2
    assert json.loads(done.stdout)["findings"][0]["code"] == "NCDK-FILE-001"


def test_json_of_a_fleet_that_the_file_has_not_is_2(run: Run) -> None:
    done = run(["fleets", "show", "FILE", "nobody", "--json"], PRODUCTION)

    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["error"].startswith("the file has no fleet nobody; its fleets: ")
