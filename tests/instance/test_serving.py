"""From an empty machine to a model server that answers, and to its end: the real server on a real artifact."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.instance.conftest import IMAGE, KEY, eventually

ROW = json.dumps({"inputs": {"bytes": [[1] * 2048]}}).encode()
JSON = {"Content-Type": "application/json"}


def ask(port: int) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", ROW, JSON)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def in_service(instance: Any, serving: Any) -> Any:
    """The instance, started, and its group told so."""
    assert instance.start(serving) == 0, instance.journal
    instance.group = "InService"
    instance.metadata.items["autoscaling/target-lifecycle-state"] = "InService"
    healthy = serving.server.health_port
    eventually(lambda: instance.get(healthy) == 200, "the health port says 200", what=lambda: instance.journal)
    return instance


@pytest.fixture
def up(instance: Any, bucket: Any, serving: Any) -> Any:
    """An instance in service."""
    return in_service(instance, serving)


def terminate(instance: Any) -> None:
    """What the group does first."""
    instance.group = "Terminating:Wait"
    instance.metadata.items["autoscaling/target-lifecycle-state"] = "Terminated"


# -- the beginning --------------------------------------------------------------------------------------------------


def test_an_instance_goes_into_service_when_its_model_is_warm(up: Any, serving: Any) -> None:
    assert up.completed == ["launch CONTINUE"]
    assert ask(serving.server.port) == 200
    assert up.get(serving.server.health_port, "/else") == 404
    steps = [line.split()[1] for line in up.journal.splitlines() if line.startswith("boot: ")]
    assert steps == ["limits", "neuron", "agent", "artifact", "serve", "ready"]


def test_the_container_is_sagemakers_with_every_way_to_compile_or_download_closed(up: Any, serving: Any) -> None:
    run = json.loads((up.root / "docker/run.json").read_text())
    assert run["image"] == [IMAGE, "serve"]
    assert run["options"]["--volume"] == [f"{up.root}/opt/neuron-cdk/artifact:/opt/ml/model:ro"]
    assert run["options"]["--device"] == [f"{up.root}/dev/neuron0"]
    assert run["options"]["--network"] == ["host"]
    environment = dict(pair.split("=", 1) for pair in run["options"]["--env"])
    assert environment["SAGEMAKER_BIND_TO_PORT"] == str(serving.server.port)
    for switch in ("NEURON_LIBTORCH_DISABLE_GRAPH_CAPTURE_BACKEND", "VLLM_NEURON_DISABLE_WARMUP_COMPILE"):
        assert environment[switch] == "1"
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert environment["NEURON_COMPILE_CACHE_URL"].startswith("/opt/ml/model/")
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"


@pytest.mark.parametrize(
    ("devices", "cores", "each", "workers"), [(1, 2, 1, "2"), (6, 2, 1, "12"), (6, 2, 8, "1"), (12, 2, 4, "6")]
)
def test_as_many_workers_as_there_are_groups_of_cores(
    instance: Any, bucket: Any, serving: Any, devices: int, cores: int, each: int, workers: str
) -> None:
    instance.neuron(devices, cores=cores)
    assert instance.start(replace(serving, server=replace(serving.server, cores_per_copy=each))) == 0
    run = json.loads((instance.root / "docker/run.json").read_text())
    environment = dict(pair.split("=", 1) for pair in run["options"]["--env"])
    assert environment["SAGEMAKER_MODEL_SERVER_WORKERS"] == workers
    assert environment["NEURON_RT_NUM_CORES"] == str(each)
    assert len(run["options"]["--device"]) == devices


def test_a_private_registry_is_logged_into_and_the_token_is_gone_afterwards(up: Any) -> None:
    password, folder = (up.root / "docker/login").read_text().split()
    assert password == "secret-of-us-west-2"  # the registry's region, not the fleet's
    assert not Path(folder).exists()
    assert (up.root / "docker/pulled").read_text() == IMAGE


def test_a_public_registry_needs_no_login(instance: Any, bucket: Any, serving: Any) -> None:
    public = replace(serving.server, image="public.ecr.aws/neuron/pytorch-inference-neuronx:2.9.0")
    assert instance.start(replace(serving, server=public)) == 0
    assert instance.aws_calls("ecr") == []


def test_vllm_is_started_by_its_artifact(instance: Any, bucket: Any, serving: Any) -> None:
    assert instance.start(replace(serving, server=replace(serving.server, engine="vllm", cores_per_copy=2))) == 0
    run = json.loads((instance.root / "docker/run.json").read_text())
    assert run["image"] == [IMAGE, "python3", "/opt/ml/model/code/inference.py"]


def test_health_says_no_before_the_model_is_warm(instance: Any, bucket: Any, serving: Any) -> None:
    instance.install(serving)
    instance.systemctl("start", "neuron-health.service")
    eventually(lambda: instance.get(serving.server.health_port) == 503, "503 while starting")


def test_a_silent_server_is_started_again(up: Any, serving: Any) -> None:
    pid = int((up.root / "docker/neuron-server.pid").read_text())
    os.kill(pid, signal.SIGSTOP)  # as a container whose server has ended and whose entry point has not
    eventually(lambda: up.get(serving.server.health_port) == 503, "503 while silent")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: up.get(serving.server.health_port) == 200, "serving again", what=lambda: up.journal)
    assert "the server is silent: restarted" in up.journal


# -- again ------------------------------------------------------------------------------------------------------------


def test_running_the_boot_again_changes_nothing(up: Any, serving: Any) -> None:
    server = (up.root / "docker/neuron-server.pid").read_text()
    files = [file for folder in ("etc", "opt") for file in sorted((up.root / folder).rglob("*")) if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    downloaded = up.downloaded
    assert up.boot_again() == 0
    assert up.downloaded == downloaded
    assert (up.root / "docker/neuron-server.pid").read_text() == server
    assert {file: file.read_bytes() for file in before} == before
    assert up.completed == ["launch CONTINUE"]  # nothing waits: nothing to complete
    assert "no action of launch waits, the instance is InService" in up.journal


def test_a_reboot_serves_again_without_a_download(up: Any, serving: Any) -> None:
    downloaded = up.downloaded
    assert up.reboot() == 0
    eventually(lambda: ask(serving.server.port) == 200, "serves")
    assert up.downloaded == downloaded
    assert up.get(serving.server.health_port) == 200


def test_an_instance_out_of_a_warm_pool_completes_its_second_launch(instance: Any, bucket: Any, serving: Any) -> None:
    instance.group = "Warmed:Pending:Wait"
    assert instance.start(serving) == 0
    downloaded = instance.downloaded
    instance.group = "Pending:Wait"
    assert instance.reboot() == 0
    assert instance.completed == ["launch CONTINUE", "launch CONTINUE"]
    assert instance.downloaded == downloaded


def test_an_instance_that_is_ready_before_its_group_waits_for_the_group(
    instance: Any, bucket: Any, serving: Any
) -> None:
    instance.group = "Pending"
    instance.install(serving)
    instance.systemctl("start", "neuron-boot.service")
    eventually(lambda: (instance.root / "run/neuron-cdk/ready").exists(), "ready")
    time.sleep(0.5)
    assert instance.completed == []
    instance.group = "Pending:Wait"
    assert instance.ended("neuron-boot") == 0
    assert instance.completed == ["launch CONTINUE"]


def test_killed_half_way_through_the_download_it_takes_up_where_it_was(
    instance: Any, bucket: Any, serving: Any
) -> None:
    hold = instance.root / "aws/hold"
    hold.touch()
    instance.install(serving)
    instance.systemctl("start", "neuron-boot.service")
    eventually(lambda: hold.exists() and hold.read_text() == "reached", "the first file is there")
    instance.kill()
    assert not (instance.root / "opt/neuron-cdk/artifact").exists()
    hold.unlink()
    assert instance.boot_again() == 0
    assert sorted(instance.downloaded) == sorted(file.name for file in bucket.iterdir())  # each once
    assert ask(serving.server.port) == 200


# -- what goes wrong --------------------------------------------------------------------------------------------------


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_corrupt_artifact_never_serves(instance: Any, bucket: Any, serving: Any) -> None:
    flip(bucket / "batch-4.ort")
    assert instance.start(serving) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "batch-4.ort does not have the sha256 that the manifest gives" in instance.journal
    assert not (instance.root / "opt/neuron-cdk/artifact").exists()
    assert not (instance.root / "docker/run.json").exists()


def test_a_file_that_broke_on_the_way_is_taken_anew(instance: Any, bucket: Any, serving: Any) -> None:
    partial = instance.root / "opt/neuron-cdk/artifact.partial"
    partial.mkdir(parents=True)
    (partial / "batch-1.ort").write_bytes((bucket / "batch-1.ort").read_bytes())
    flip(partial / "batch-1.ort")
    (partial / "batch-1.ort.4cFe").write_bytes(b"half a file of an earlier download")
    assert instance.start(serving) == 0
    assert instance.downloaded.count("batch-1.ort") == 1
    assert not (instance.root / "opt/neuron-cdk/artifact/batch-1.ort.4cFe").exists()


def test_an_artifact_that_went_bad_on_the_disk_is_downloaded_again(up: Any, serving: Any) -> None:
    flip(up.root / "opt/neuron-cdk/artifact/batch-1.ort")
    assert up.reboot() == 0
    assert up.downloaded.count("batch-1.ort") == 2
    assert "what is there is not whole" in up.journal


def test_a_manifest_that_points_outside_the_artifact_touches_nothing_there(
    instance: Any, bucket: Any, serving: Any
) -> None:
    outside = instance.root / "opt/neuron-cdk/precious"
    manifest = json.loads((bucket / "manifest.json").read_text())
    manifest["files"].append({"path": "../precious", "sha256": "0" * 64, "bytes": 1})
    (bucket / "manifest.json").write_text(json.dumps(manifest))
    outside.parent.mkdir(parents=True)
    outside.touch()
    assert instance.start(serving) == 1
    assert outside.exists()
    assert "lists files outside the artifact: ['../precious']" in instance.journal


def test_another_models_artifact_is_not_served(instance: Any, bucket: Any, serving: Any) -> None:
    manifest = json.loads((bucket / "manifest.json").read_text())
    (bucket / "manifest.json").write_text(json.dumps(manifest | {"artifact_key": "cd" * 32}))
    assert instance.start(serving) == 1
    assert f"is of artifact {'cd' * 32}, not of s3://bucket/artifacts/{KEY}/a1/" in instance.journal


@pytest.mark.parametrize(
    "call", ["s3 sync", "autoscaling describe-auto-scaling-instances", "autoscaling complete-lifecycle-action"]
)
def test_a_call_of_aws_that_fails_and_then_works_costs_only_time(
    instance: Any, bucket: Any, serving: Any, call: str
) -> None:
    instance.fail(call, 3)
    assert instance.start(serving) == 0, instance.journal
    assert instance.completed == ["launch CONTINUE"]


def test_an_answer_that_aws_does_not_take_is_given_again(instance: Any, bucket: Any, serving: Any) -> None:
    instance.fail("autoscaling complete-lifecycle-action", 5)
    assert instance.start(serving) == 1  # systemd starts the unit again
    assert "the group was not told" in instance.journal
    assert instance.boot_again() == 0
    assert instance.completed == ["launch CONTINUE"]


def test_a_model_that_refuses_its_own_shapes_never_serves(instance: Any, bucket: Any, serving: Any) -> None:
    manifest = json.loads((bucket / "manifest.json").read_text())
    manifest["inputs"][0]["name"] = "other"
    (bucket / "manifest.json").write_text(json.dumps(manifest))
    assert instance.start(serving) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "the model does not answer as it should: status 400" in instance.journal
    assert instance.get(serving.server.health_port) != 200


def golden(bucket: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the golden examples of an artifact, and its manifest with them."""
    document = json.loads((bucket / "golden.json").read_text())
    change(document)
    (bucket / "golden.json").write_text(json.dumps(document))
    manifest = json.loads((bucket / "manifest.json").read_text())
    (entry,) = (one for one in manifest["files"] if one["path"] == "golden.json")
    entry["sha256"] = hashlib.sha256((bucket / "golden.json").read_bytes()).hexdigest()
    (bucket / "manifest.json").write_text(json.dumps(manifest))


def test_a_model_that_answers_otherwise_than_its_golden_examples_never_serves(
    instance: Any, bucket: Any, serving: Any
) -> None:
    def expect_more(document: dict[str, Any]) -> None:
        document["examples"][-1]["outputs"]["target_label"][0][7] += 0.5

    golden(bucket, expect_more)
    assert instance.start(serving) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "the model does not answer as it should: output 'target_label' is off by more than" in instance.journal
    assert instance.get(serving.server.health_port) != 200


def test_a_model_whose_artifact_has_no_examples_is_asked_for_zeros(instance: Any, bucket: Any, serving: Any) -> None:
    manifest = json.loads((bucket / "manifest.json").read_text())
    manifest["files"] = [one for one in manifest["files"] if one["path"] != "golden.json"]
    (bucket / "manifest.json").write_text(json.dumps(manifest))
    (bucket / "golden.json").unlink()
    in_service(instance, serving)
    assert instance.completed == ["launch CONTINUE"]


def test_the_group_hears_that_a_long_boot_goes_on(instance: Any, bucket: Any, serving: Any) -> None:
    hold = instance.root / "aws/hold"
    hold.touch()
    instance.install(serving)
    instance.systemctl("start", "neuron-boot.service")
    eventually(lambda: len(instance.aws_calls("autoscaling", "record-lifecycle-action-heartbeat")) > 1, "heartbeats")
    hold.unlink()
    assert instance.ended("neuron-boot") == 0


# -- the end ----------------------------------------------------------------------------------------------------------


class LoadBalancer:
    """Asks the health port, and sends requests as fast as they are answered while it says 200."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: list[int] = []
        self.healthy = True
        self.threads = [threading.Thread(target=self.send) for _ in range(3)]
        self.threads.append(threading.Thread(target=self.check))
        for thread in self.threads:
            thread.start()

    def check(self) -> None:
        while self.healthy:
            with socket.create_connection(("127.0.0.1", self.port + 1), timeout=10) as asked:
                asked.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                self.healthy = asked.recv(12).endswith(b"200")
            time.sleep(0.1)

    def send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while self.healthy:
            try:
                connection.request("POST", "/invocations", ROW, JSON)
                answer = connection.getresponse()
                answer.read()
                self.statuses.append(answer.status)
            except (OSError, http.client.HTTPException):
                self.statuses.append(0)
        # Load balancers keep idle connections: they must not hold up the drain.
        self.connection = connection

    def stopped(self) -> None:
        for thread in self.threads:
            thread.join()


def test_no_request_is_lost_when_the_group_terminates_an_instance(instance: Any, bucket: Any, serving: Any) -> None:
    instance.waits["LEAVE_S = 35.0"] = "LEAVE_S = 4.0"  # this load balancer hears of it late when the machine is busy
    up = in_service(instance, serving)
    balancer = LoadBalancer(serving.server.port)
    eventually(lambda: len(balancer.statuses) > 20, "requests")
    terminate(up)
    balancer.stopped()
    assert up.ended("neuron-drain") == 0
    assert set(balancer.statuses) == {200}
    assert up.completed == ["launch CONTINUE", "terminate CONTINUE"]
    assert up.get(serving.server.port) == 0
    assert "no request is under way" in up.journal


def test_a_request_under_way_is_waited_for(up: Any, serving: Any) -> None:
    with socket.create_connection(("127.0.0.1", serving.server.port), timeout=30) as client:
        head = f"POST /invocations HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(ROW)}\r\n\r\n"
        client.sendall(head.encode() + ROW[:100])
        terminate(up)
        eventually(lambda: up.get(serving.server.health_port) == 503, "503 first")
        time.sleep(2)  # twice what the load balancer gets to leave
        assert up.status("neuron-drain") is None
        client.sendall(ROW[100:])
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 200
        answer.read()
        assert up.ended("neuron-drain") == 0
    assert up.completed[-1] == "terminate CONTINUE"


def test_a_request_that_never_ends_holds_up_the_end_only_for_the_drain_time(
    instance: Any, bucket: Any, serving: Any
) -> None:
    assert instance.start(replace(serving, server=replace(serving.server, drain_seconds=2))) == 0
    with socket.create_connection(("127.0.0.1", serving.server.port), timeout=30) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        terminate(instance)
        eventually(lambda: "not done in 2 s, stopped anyway" in instance.journal, "given up")


def test_what_the_fleet_wants_done_at_the_end_is_done_and_the_group_waits(up: Any) -> None:
    folder = up.root / "opt/neuron-cdk/drain.d"
    folder.mkdir()
    up.program("opt/neuron-cdk/drain.d/10-broken", "exit 3")
    slow = 'while [[ ! -e "$INSTANCE_ROOT/go" ]]; do /bin/sleep 0.05; done'
    up.program("opt/neuron-cdk/drain.d/20-checkpoint", slow)
    terminate(up)
    eventually(lambda: up.calls("20-checkpoint"), "the second runs after the first failed")
    beats = len(up.aws_calls("autoscaling", "record-lifecycle-action-heartbeat"))
    eventually(
        lambda: len(up.aws_calls("autoscaling", "record-lifecycle-action-heartbeat")) > beats, "heartbeats meanwhile"
    )
    assert up.completed == ["launch CONTINUE"]
    (up.root / "go").touch()
    assert up.ended("neuron-drain") == 0
    assert up.completed[-1] == "terminate CONTINUE"
    assert "drain.d/10-broken: " in up.journal


def test_a_drain_that_was_killed_is_done_from_the_start(up: Any) -> None:
    (up.root / "opt/neuron-cdk/drain.d").mkdir()
    up.program("opt/neuron-cdk/drain.d/10-save", 'while [[ ! -e "$INSTANCE_ROOT/go" ]]; do /bin/sleep 0.05; done')
    terminate(up)
    eventually(lambda: up.calls("10-save"), "under way")
    up.kill("neuron-drain")
    (up.root / "go").touch()
    up.systemctl("start", "neuron-drain.service")
    assert up.ended("neuron-drain") == 0
    assert len(up.calls("10-save")) == 2, up.journal
    assert up.completed[-1] == "terminate CONTINUE"


def spot(seconds: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return json.dumps({"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})


def test_a_spot_interruption_drains_at_once_and_the_groups_hook_later(up: Any, serving: Any) -> None:
    up.metadata.items["spot/instance-action"] = spot(120)
    eventually(lambda: (up.root / "run/neuron-cdk/drained").exists(), "drained", what=lambda: up.journal)
    assert up.get(serving.server.port) == 0
    assert up.status("neuron-drain") is None
    assert up.completed == ["launch CONTINUE"]
    terminate(up)
    assert up.ended("neuron-drain") == 0
    assert up.completed[-1] == "terminate CONTINUE"
    assert up.journal.count("drain: spot: terminate at") == 1


def test_a_spot_interruption_leaves_less_time_than_the_fleet_grants(up: Any, serving: Any) -> None:
    with socket.create_connection(("127.0.0.1", serving.server.port), timeout=30) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        up.metadata.items["spot/instance-action"] = spot(32)  # of which 30 are kept for stopping
        given_up = eventually(lambda: re.search(r"not done in (\d+) s, stopped anyway", up.journal), "given up")
    assert int(given_up[1]) <= 2 < serving.server.drain_seconds


def test_a_rebalance_recommendation_alone_stops_nothing(up: Any, serving: Any) -> None:
    (up.root / "opt/neuron-cdk/rebalance.d").mkdir()
    up.program("opt/neuron-cdk/rebalance.d/10-checkpoint")
    up.metadata.items["events/recommendations/rebalance"] = '{"noticeTime": "2026-11-01T08:22:00Z"}'
    eventually(lambda: up.calls("10-checkpoint"), "what the fleet wants done")
    time.sleep(1)
    assert len(up.calls("10-checkpoint")) == 1
    assert up.get(serving.server.health_port) == 200
    assert up.status("neuron-drain") is None


def test_a_metadata_service_that_does_not_answer_for_a_while_ends_nothing(up: Any) -> None:
    up.metadata.tokens.clear()
    up.metadata.items.pop("instance-id")
    up.metadata.items["spot/instance-action"] = "not JSON"
    eventually(lambda: "JSONDecodeError" in up.journal, "told of")
    assert up.status("neuron-drain") is None
    up.metadata.items.pop("spot/instance-action")
    up.metadata.items["instance-id"] = "i-1"
    terminate(up)
    assert up.ended("neuron-drain") == 0
