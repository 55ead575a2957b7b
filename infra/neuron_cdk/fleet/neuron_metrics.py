"""Runs on the instance: publishes what neuron-monitor says as one CloudWatch metric a minute.

Reads neuron-monitor's JSON lines on standard input. Auto Scaling can follow a metric only under dimensions that are
the same for the whole fleet, which the exporter that comes with the tools does not give; hence this one. Standard
library and the AWS CLI of the Deep Learning AMI, nothing to install.

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
    for runtime in report.get("neuron_runtime_data") or ():
        counters = (runtime.get("report") or {}).get("neuroncore_counters") or {}
        for core in (counters.get("neuroncores_in_use") or {}).values():
            busy += core.get("neuroncore_utilization") or 0.0
    return busy / cores


def publish(fleet: str, region: str, value: float) -> None:
    """Send one value with the AWS CLI; a failure is logged and the next minute tries again."""
    subprocess.run(
        [
            "aws",
            "cloudwatch",
            "put-metric-data",
            "--region",
            region,
            "--namespace",
            NAMESPACE,
            "--metric-name",
            METRIC,
            "--dimensions",
            f"Fleet={fleet}",
            "--unit",
            "Percent",
            "--value",
            f"{value:.2f}",
        ],
        check=False,
    )


def main(fleet: str, region: str, lines: Iterable[str] = sys.stdin) -> None:
    samples: list[float] = []
    due = time.monotonic() + PERIOD_S
    for line in lines:
        try:
            value = utilization(json.loads(line))
        except ValueError:
            continue  # half a line, while neuron-monitor starts or stops
        if value is not None:
            samples.append(value)
        if samples and time.monotonic() >= due:
            publish(fleet, region, sum(samples) / len(samples))
            samples, due = [], time.monotonic() + PERIOD_S


if __name__ == "__main__":
    main(*sys.argv[1:])
