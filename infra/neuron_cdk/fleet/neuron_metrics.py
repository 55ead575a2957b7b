"""Runs on the instance: publishes what neuron-monitor says to CloudWatch, in one call a minute.

Reads neuron-monitor's JSON lines on standard input (their form: Neuron Monitor user guide). Auto Scaling can follow a
metric only under dimensions that are the same for the whole fleet, which the exporter that comes with the tools does
not give; hence this one. Standard library and the AWS CLI of the Deep Learning AMI, nothing to install.

Usage: neuron-monitor | neuron_metrics.py FLEET REGION
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

NAMESPACE = "NeuronCdk/Fleet"
METRIC = "NeuronCoreUtilization"
MEMORY_METRIC = "NeuronDeviceMemoryUsed"
ERRORS_METRIC = "NeuronExecutionErrors"
PERIOD_S = 60


def utilization(report: dict[str, Any]) -> float | None:
    """Mean utilisation of all NeuronCores of the instance, idle ones included, in percent; None when it has none.

    A core no process holds does not appear in the report: the hardware's count is the divisor, not the list's length.
    """
    hardware = report.get("neuron_hardware_info") or {}
    cores = (hardware.get("neuron_device_count") or 0) * (hardware.get("neuroncore_per_device_count") or 0)
    if not cores:
        return None
    busy = 0.0
    for report_ in _runtimes(report):
        counters = report_.get("neuroncore_counters") or {}
        for core in (counters.get("neuroncores_in_use") or {}).values():
            busy += core.get("neuroncore_utilization") or 0.0
    return busy / cores


def memory_used(report: dict[str, Any]) -> float:
    """Bytes of the devices' memory that processes hold."""
    used = (
        ((runtime.get("memory_used") or {}).get("neuron_runtime_used_bytes")) or {} for runtime in _runtimes(report)
    )
    return float(sum(each.get("neuron_device") or 0 for each in used))


def errors(report: dict[str, Any]) -> int:
    """Executions that failed since the report before, of every kind."""
    kinds = (((runtime.get("execution_stats") or {}).get("error_summary")) or {} for runtime in _runtimes(report))
    return sum(sum(each.values()) for each in kinds)


def _runtimes(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [runtime.get("report") or {} for runtime in report.get("neuron_runtime_data") or ()]


def publish(fleet: str, region: str, values: dict[str, tuple[str, float]]) -> None:
    """Send ``{metric: (unit, value)}`` with the AWS CLI; a failure is logged and the next minute tries again."""
    data = [
        {
            "MetricName": metric,
            "Dimensions": [{"Name": "Fleet", "Value": fleet}],
            "Unit": unit,
            "Value": round(value, 2),
        }
        for metric, (unit, value) in values.items()
    ]
    call = ["aws", "cloudwatch", "put-metric-data", "--region", region, "--namespace", NAMESPACE]
    subprocess.run([*call, "--metric-data", json.dumps(data)], check=False)


def main(fleet: str, region: str, lines: Iterable[str] = sys.stdin) -> None:
    """Publish until the lines end: means of utilisation and memory, and the sum of the errors."""
    samples: list[tuple[float, float, int]] = []
    due = time.monotonic() + PERIOD_S
    for line in lines:
        try:
            report = json.loads(line)
        except ValueError:
            continue  # half a line, while neuron-monitor starts or stops
        busy = utilization(report)
        if busy is not None:
            samples.append((busy, memory_used(report), errors(report)))
        if samples and time.monotonic() >= due:
            percents, memory, failed = zip(*samples)  # noqa: B905 - the AMI's Python may know no strict=
            publish(
                fleet,
                region,
                {
                    METRIC: ("Percent", sum(percents) / len(samples)),
                    MEMORY_METRIC: ("Bytes", sum(memory) / len(samples)),
                    ERRORS_METRIC: ("Count", sum(failed)),
                },
            )
            samples, due = [], time.monotonic() + PERIOD_S


if __name__ == "__main__":
    main(*sys.argv[1:])
