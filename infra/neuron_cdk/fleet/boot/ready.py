"""The last step: the model is loaded and has answered a request, zeros of the shapes that the artifact declares."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from . import server
from .instance import PAUSE_S, say

MANIFEST = Path("/opt/neuron-cdk/artifact/manifest.json")
LIMIT_S = 1800.0
REQUEST_S = 300.0


def request(manifest: dict[str, Any]) -> bytes | None:
    """The smallest request that the compiled programs take; None when the manifest does not describe inputs."""
    if not manifest.get("inputs"):
        return None
    program = min(manifest["programs"], key=lambda entry: (entry["batch_size"], entry.get("sequence_length") or 0))
    sizes = {"batch": program["batch_size"], "sequence": program.get("sequence_length")}

    def zeros(shape: list[Any]) -> Any:
        if not shape:
            return 0
        return [zeros(shape[1:])] * int(sizes.get(shape[0], shape[0]) or 1)

    return json.dumps(
        {"inputs": {entry["name"]: _as(entry["dtype"], zeros(entry["shape"])) for entry in manifest["inputs"]}}
    ).encode()


def _as(dtype: str, values: Any) -> Any:
    if isinstance(values, list):
        return [_as(dtype, values[0])] * len(values)
    return False if dtype == "bool" else values


def warm(body: bytes | None) -> str:
    """Send the request; what went wrong, or nothing."""
    if body is None:
        return ""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(server.url("/invocations"), body, {"Content-Type": "application/json"}),
            timeout=REQUEST_S,
        ):
            return ""
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def main() -> int:
    """Wait until the server is warm; the exit status."""
    started = time.monotonic()
    while not server.answers():
        if time.monotonic() - started > LIMIT_S:
            print(f"ready: GET {server.url('/ping')} does not answer 200 after {LIMIT_S:.0f} s", file=sys.stderr)
            return 1
        time.sleep(min(PAUSE_S, 1))
    fault = warm(request(json.loads(MANIFEST.read_text(encoding="utf-8"))))
    if fault:
        print(f"ready: the model does not answer a request of zeros: {fault}", file=sys.stderr)
        return 1
    say(f"ready: warm after {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
