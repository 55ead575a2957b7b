"""What an instance runs at its first boot: our scripts, as files in the package, wrapped for cloud-init."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def user_data(*, fleet: str, region: str) -> str:
    """A shell script that puts ``neuron_metrics.py`` in place and runs ``bootstrap.sh``.

    EC2 takes 16 KiB; this is a third of it.

    :param fleet: the value of the metric dimension ``Fleet``.
    """
    metrics = (_HERE / "neuron_metrics.py").read_text()
    bootstrap = (_HERE / "bootstrap.sh").read_text()
    return "\n".join(
        [
            "#!/bin/bash",
            "mkdir -p /opt/neuron-cdk",
            "cat > /opt/neuron-cdk/neuron_metrics.py <<'NEURON_METRICS'",
            metrics.rstrip("\n"),
            "NEURON_METRICS",
            f"export FLEET='{fleet}' REGION='{region}'",
            bootstrap.split("\n", 1)[1],
        ]
    )
