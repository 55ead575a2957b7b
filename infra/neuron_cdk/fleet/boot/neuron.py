"""The Neuron devices of this instance: as many as its type has, each with its node in ``/dev``.

``python3 -m boot.neuron`` checks; ``python3 -m boot.neuron copies`` prints how many copies of the model fit.

What neuron-ls prints is a list with ``neuron_device`` and ``nc_count`` (logical NeuronCores) for each device. Neuron
2.34 puts ``--output-format json``, with fields of its own around the list, in place of ``--json-output`` (Neuron
announcement "end of support for the neuron-ls JSON output format"); both are understood.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .instance import PAUSE_S, metadata, say

NEURON_LS = "/opt/aws/neuron/bin/neuron-ls"
DEV = Path("/dev")
ATTEMPTS = 6


class NeuronError(Exception):
    """The chips are not as they should be."""


def devices() -> list[dict[str, Any]]:
    """What neuron-ls lists.

    :raises NeuronError: when it lists nothing, with what it says instead.
    """
    said: list[str] = []
    for option in (["--json-output"], ["--output-format", "json"]):
        try:
            done = subprocess.run([NEURON_LS, *option], capture_output=True, text=True, check=False)
        except OSError as error:
            raise NeuronError(str(error)) from error
        said.append(done.stderr.strip() or done.stdout.strip()[:200])
        try:
            found = _listed(json.loads(done.stdout))
        except ValueError:
            continue
        if found:
            return found
    raise NeuronError(f"{NEURON_LS} lists no device: {'; '.join(filter(None, said))}")


def _listed(document: Any) -> list[dict[str, Any]]:
    lists = [document] if isinstance(document, list) else document.values() if isinstance(document, dict) else []
    for each in lists:
        if isinstance(each, list) and each and all(isinstance(entry, dict) and "nc_count" in entry for entry in each):
            return each
    return []


def check() -> str:
    """What is there, in one line.

    :raises NeuronError: when a device is missing.
    """
    found = devices()
    missing = [entry["neuron_device"] for entry in found if not (DEV / f"neuron{entry['neuron_device']}").exists()]
    if missing:
        raise NeuronError(f"no node in {DEV} for the Neuron devices {missing}")
    kind = metadata("instance-type") or ""
    wanted = dict(pair.split("=") for pair in os.environ.get("DEVICES", "").split()).get(kind)
    if wanted and len(found) != int(wanted):
        raise NeuronError(f"{kind} has {wanted} Neuron device(s), neuron-ls lists {len(found)}")
    return f"{len(found)} device(s), {sum(entry['nc_count'] for entry in found)} NeuronCores"


def copies() -> int:
    """How many copies of the model the instance holds, each on CORES_PER_COPY NeuronCores.

    :raises NeuronError: when there is no room for one.
    """
    cores = sum(entry["nc_count"] for entry in devices())
    each = int(os.environ["CORES_PER_COPY"])
    if cores < each:
        raise NeuronError(f"a copy of the model takes {each} NeuronCores, the instance has {cores}")
    return int(cores // each)


def main(words: list[str]) -> int:
    """Check, again for a while (the driver may still be loading), or print the copies."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if words == ["copies"]:
                print(copies())
            else:
                say(f"neuron: {check()}")
            return 0
        except (NeuronError, OSError) as error:
            if attempt == ATTEMPTS:
                print(f"neuron: {error}", file=sys.stderr)
            else:
                time.sleep(PAUSE_S)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
