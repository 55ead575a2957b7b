"""What an instance runs at its first boot, run here for real with stand-ins for what only an instance has."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from neuron_cdk.fleet import neuron_metrics
from neuron_cdk.fleet.user_data import user_data

EC2_LIMIT = 16 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("bin", "etc/security/limits.d", "etc/systemd/system", "opt/aws/neuron/bin"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def stand_in(root):
    """``stand_in("bin/aws")``: a program that notes the arguments of each call; ``stand_in.calls("aws")`` has them."""

    class StandIn:
        def __call__(self, path: str, body: str = "") -> None:
            program = root / path
            notes = root / f"{program.name}.calls"
            program.write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >> {shlex.quote(str(notes))}\n{body}\n')
            program.chmod(0o755)

        def calls(self, name: str) -> list[str]:
            notes = root / f"{name}.calls"
            return notes.read_text().splitlines() if notes.exists() else []

    return StandIn()


@pytest.fixture
def boot(root, stand_in):
    """Runs the user data with every path it writes to moved below ``root``; gives the exit code."""
    stand_in("bin/systemctl")
    script = user_data(fleet="sandbox-Fleet-serve/Fleet", region="us-east-1")
    for path in ("/etc/", "/opt/"):
        script = script.replace(path, f"{root}{path}")

    def run() -> int:
        environment = {"PATH": f"{root}/bin:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", script], env=environment, check=False).returncode

    return run


def command(unit: Path) -> str:
    (line,) = (line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    return line.removeprefix("ExecStart=")


def test_user_data_fits_ec2s_limit():
    longest = user_data(fleet="x" * 128, region="ap-southeast-2")
    assert len(longest.encode()) < EC2_LIMIT


def test_user_data_is_a_valid_script():
    script = user_data(fleet="sandbox-Fleet-serve/Fleet", region="us-east-1")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_boot_puts_the_metrics_program_in_place_as_it_is(boot, root):
    assert boot() == 0
    placed = root / "opt/neuron-cdk/neuron_metrics.py"
    assert placed.read_text() == Path(neuron_metrics.__file__).read_text()


def test_boot_starts_the_metrics_service_after_systemd_has_read_it(boot, stand_in):
    boot()
    assert stand_in.calls("systemctl") == ["daemon-reload", "enable --now neuron-metrics.service"]


def test_boot_lifts_the_limit_on_pinned_memory(boot, root):
    boot()
    limits = (root / "etc/security/limits.d/90-neuron.conf").read_text()
    assert "*  hard  memlock  unlimited" in limits


def test_a_second_boot_leaves_the_same(boot, root):
    boot()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".calls"}
    assert boot() == 0
    assert {path: path.read_bytes() for path in before} == before


def test_a_failing_step_fails_the_boot(boot, stand_in):
    stand_in("bin/systemctl", "exit 1")
    assert boot() != 0


def test_the_service_publishes_what_neuron_monitor_prints(boot, root, stand_in):
    """The unit's own command line: systemd's quoting, the pipe and the program, from a report to a call of AWS."""
    boot()
    report = {
        "neuron_hardware_info": {"neuron_device_count": 1, "neuroncore_per_device_count": 2},
        "neuron_runtime_data": [
            {"report": {"neuroncore_counters": {"neuroncores_in_use": {"0": {"neuroncore_utilization": 80.0}}}}}
        ],
    }
    stand_in("opt/aws/neuron/bin/neuron-monitor", f"echo {shlex.quote(json.dumps(report))}")
    stand_in("bin/aws")
    program = root / "opt/neuron-cdk/neuron_metrics.py"
    program.write_text(program.read_text().replace("PERIOD_S = 60", "PERIOD_S = 0"))
    line = shlex.split(command(root / "etc/systemd/system/neuron-metrics.service"))
    subprocess.run(line, env={"PATH": f"{root}/bin:{os.environ['PATH']}"}, check=True)
    assert stand_in.calls("aws") == [
        "cloudwatch put-metric-data --region us-east-1 --namespace NeuronCdk/Fleet "
        "--metric-name NeuronCoreUtilization --dimensions Fleet=sandbox-Fleet-serve/Fleet --unit Percent --value 40.00"
    ]


# -- the metrics program -------------------------------------------------------------------------------------------


def report(*runtimes: dict[str, float], devices: int = 1, cores: int = 2) -> dict:
    """A report as neuron-monitor prints it, cut to what is read."""
    return {
        "neuron_hardware_info": {"neuron_device_count": devices, "neuroncore_per_device_count": cores},
        "neuron_runtime_data": [
            {
                "report": {
                    "neuroncore_counters": {
                        "neuroncores_in_use": {
                            core: {"neuroncore_utilization": percent} for core, percent in runtime.items()
                        }
                    }
                }
            }
            for runtime in runtimes
        ],
    }


@pytest.mark.parametrize(
    ("given", "percent"),
    [
        (report({"0": 80.0, "1": 40.0}), 60.0),
        (report({"0": 80.0}), 40.0),  # a core nobody holds is idle, not absent
        (report({"0": 80.0}, {"1": 60.0}), 70.0),  # two processes
        (report(), 0.0),  # no process at all
        (report({"0": 100.0}, devices=16), 3.125),
    ],
)
def test_utilisation_is_the_mean_over_all_cores_of_the_hardware(given, percent):
    assert neuron_metrics.utilization(given) == pytest.approx(percent)


@pytest.mark.parametrize(
    "given",
    [{}, {"neuron_hardware_info": None}, report(devices=0), {"neuron_hardware_info": {"error": "no driver"}}],
)
def test_a_host_without_cores_has_no_utilisation(given):
    assert neuron_metrics.utilization(given) is None


def test_a_runtime_that_reports_nothing_counts_as_idle():
    given = report({"0": 50.0})
    given["neuron_runtime_data"].append({"report": None})
    assert neuron_metrics.utilization(given) == 25.0


@pytest.fixture
def publish(monkeypatch):
    """Feeds lines, ``seconds`` apart, to the program with a clock that the lines move; gives the published values."""

    def run(lines: list[str], seconds: float) -> list[float]:
        clock = {"now": 0.0}
        published: list[float] = []

        def ticking():
            for line in lines:
                clock["now"] += seconds
                yield line

        monkeypatch.setattr(neuron_metrics.time, "monotonic", lambda: clock["now"])
        monkeypatch.setattr(neuron_metrics, "publish", lambda fleet, region, value: published.append(value))
        neuron_metrics.main("fleet", "us-east-1", ticking())
        return published

    return run


def lines(*percents: float) -> list[str]:
    return [json.dumps(report({"0": percent, "1": percent})) for percent in percents]


def test_a_minute_becomes_one_value_the_mean_of_its_reports(publish):
    assert publish(lines(10, 20, 30, 40), seconds=30) == [15.0, 35.0]


def test_half_a_line_is_skipped(publish):
    assert publish(['{"neuron_hardware_info": {', *lines(50, 50)], seconds=30) == [50.0]


def test_a_host_without_cores_publishes_nothing(publish):
    assert publish([json.dumps({})] * 4, seconds=60) == []


def test_a_failed_call_of_aws_does_not_end_the_program(root, stand_in, monkeypatch):
    stand_in("bin/aws", "exit 255")
    monkeypatch.setenv("PATH", f"{root}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(neuron_metrics, "PERIOD_S", 0)
    neuron_metrics.main("fleet", "us-east-1", lines(10, 20))
    assert len(stand_in.calls("aws")) == 2
