"""Whether permissions are checked: the variable ``NEURON_CDK_LOCAL_IAM`` of whoever starts the embedded AWS.

``enforce`` refuses what is not allowed, ``log`` writes it down and lets it pass, ``off`` does not look.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "NEURON_CDK_LOCAL_IAM"
REPORTS = "NEURON_CDK_LOCAL_IAM_REPORTS"
_DEFAULT = "enforce"


def mode() -> str:
    return os.environ.get(VARIABLE) or _DEFAULT


def reports() -> Path | None:
    """Where a server that ends leaves what its roles did."""
    folder = os.environ.get(REPORTS)
    return Path(folder) if folder else None


def on() -> bool:
    return mode() != "off"


def enforcing() -> bool:
    return mode() == "enforce"
