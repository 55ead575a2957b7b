"""The program that makes CloudWatch metrics of what neuron-monitor prints."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from neuron_cdk.fleet import neuron_metrics
from neuron_cdk.fleet.user_data import Boot


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


Values = dict[str, tuple[str, float]]


@pytest.fixture
def publish(monkeypatch):
    """Feeds lines, ``seconds`` apart, to the program with a clock that the lines move; gives what is published."""

    def run(lines: list[str], seconds: float) -> list[Values]:
        clock = {"now": 0.0}
        published: list[Values] = []

        def ticking():
            for line in lines:
                clock["now"] += seconds
                yield line

        monkeypatch.setattr(neuron_metrics.time, "monotonic", lambda: clock["now"])
        monkeypatch.setattr(neuron_metrics, "publish", lambda fleet, region, values: published.append(values))
        neuron_metrics.main("fleet", "us-east-1", ticking())
        return published

    return run


def lines(*percents: float) -> list[str]:
    return [json.dumps(report({"0": percent, "1": percent})) for percent in percents]


def percents(published: list[Values]) -> list[float]:
    return [values["NeuronCoreUtilization"][1] for values in published]


def test_a_minute_becomes_one_value_the_mean_of_its_reports(publish):
    assert percents(publish(lines(10, 20, 30, 40), seconds=30)) == [15.0, 35.0]


def test_half_a_line_is_skipped(publish):
    assert percents(publish(['{"neuron_hardware_info": {', *lines(50, 50)], seconds=30)) == [50.0]


def test_a_host_without_cores_publishes_nothing(publish):
    assert publish([json.dumps({})] * 4, seconds=60) == []


def test_memory_is_a_mean_and_errors_are_a_sum(publish):
    def busy(used: int, **errors: int) -> str:
        given = report({"0": 10.0}, {"1": 10.0})
        for runtime in given["neuron_runtime_data"]:
            runtime["report"]["memory_used"] = {"neuron_runtime_used_bytes": {"host": 1, "neuron_device": used}}
            runtime["report"]["execution_stats"] = {"error_summary": errors}
        return json.dumps(given)

    (values,) = publish([busy(100, generic=1, hardware=2), busy(300, numerical=1)], seconds=30)
    assert values == {
        "NeuronCoreUtilization": ("Percent", 10.0),
        "NeuronDeviceMemoryUsed": ("Bytes", 400.0),
        "NeuronExecutionErrors": ("Count", 8),
    }


def test_the_unit_sends_what_neuron_monitor_prints_in_one_call(instance: Any) -> None:
    """The unit's own command line: the environment, the pipe and the program, from a report to a call of AWS."""
    instance.program("opt/aws/neuron/bin/neuron-monitor", f"echo '{json.dumps(report({'0': 80.0}))}'", note=False)
    instance.install(Boot(fleet="sandbox-Fleet-serve/Fleet", region="us-east-1"))
    program = instance.root / "opt/neuron-cdk/neuron_metrics.py"
    program.write_text(program.read_text().replace("PERIOD_S = 60", "PERIOD_S = 0"))
    instance.systemctl("start", "neuron-metrics.service")
    assert instance.ended("neuron-metrics") == 0
    (call,) = instance.aws_calls("cloudwatch")
    assert call[:-1] == [
        *("cloudwatch", "put-metric-data", "--region", "us-east-1"),
        *("--namespace", "NeuronCdk/Fleet", "--metric-data"),
    ]
    sent = {entry.pop("MetricName"): entry for entry in json.loads(call[-1])}
    assert sent["NeuronCoreUtilization"] == {
        "Dimensions": [{"Name": "Fleet", "Value": "sandbox-Fleet-serve/Fleet"}],
        "Unit": "Percent",
        "Value": 40.0,
    }
    assert sorted(sent) == ["NeuronCoreUtilization", "NeuronDeviceMemoryUsed", "NeuronExecutionErrors"]


def test_a_failed_call_of_aws_does_not_end_the_program(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    instance.program("bin/aws", "exit 255")
    monkeypatch.setenv("PATH", f"{instance.root}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(neuron_metrics, "PERIOD_S", 0)
    neuron_metrics.main("fleet", "us-east-1", lines(10, 20))
    assert len(instance.calls("aws")) == 2
