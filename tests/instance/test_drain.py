"""The end of an instance that serves: no request is lost, and the group and the load balancer are waited for."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.instance.machine import eventually
from tests.instance.model_server import JSON, ROW, in_service, terminate


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
