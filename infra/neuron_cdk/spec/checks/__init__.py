"""Rules that need the catalogue or two parts of the file. None needs the network."""

from __future__ import annotations

from collections.abc import Iterator

from ..deployment import Deployment
from ..findings import Problem

NO_SUCH_MODEL = "NCDK-MODEL-002"
CHECKS = ()


def check(deployment: Deployment) -> Iterator[Problem]:
    """Everything that is wrong with the deployment, or worth knowing about it."""
    for rule in CHECKS:
        yield from rule(deployment)
