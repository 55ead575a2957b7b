"""Endpoints whose containers compile: what they need was not in their artifact. Pure.

Neuron's PyTorch XLA stack logs each run of the compiler in one line, ``… INFO ||NEURON_CC_WRAPPER||: Call compiler with
cmd: …``; where the program is in the cache it logs ``Using a cached neff`` instead. Source: the logs in
huggingface/optimum-neuron#407 and aws-neuron/aws-neuron-sdk#825; Neuron documents the cache, not its log lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

PATTERN = '"NEURON_CC_WRAPPER" "Call compiler with cmd"'
"""For FilterLogEvents: lines that have both."""


def endpoints(items: Iterable[Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The names of the endpoints that the registry knows: CloudFormation's and the release pipeline's."""
    found = set()
    for item in items:
        name = item["artifact_key"]["S"]
        if not name.startswith(("endpoint#", "release#endpoint/")):
            continue
        try:
            document = json.loads(item["document"]["S"])
            facts = (document.get("current") or {}).get("facts") or {}
            found |= {document.get("endpoint"), facts.get("endpoint"), facts.get("EndpointName")}
        except (KeyError, ValueError, AttributeError):
            continue
    return sorted(name for name in found if isinstance(name, str) and name)
