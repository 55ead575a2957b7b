"""A boot that runs again, after a reboot, out of a warm pool or after a kill, takes up where it was."""

from __future__ import annotations

import time
from typing import Any

from tests.instance.machine import eventually
from tests.instance.model_server import ask


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
