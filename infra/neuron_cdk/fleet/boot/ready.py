"""The last step: the model is loaded and has answered the golden examples of its artifact as it should, or, where the
artifact has none, a request of zeros of the shapes that it declares.

The form of ``golden.json``, and what a right answer is, are in ``neuron_hooks.endpoint.golden``; here is as little of
it as will do, since user data is small.
"""

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
GOLDEN = MANIFEST.with_name("golden.json")
LIMIT_S = 1800.0
REQUEST_S = 300.0


def zeros(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The smallest request that the compiled programs take; none when the manifest does not describe inputs."""
    if not manifest.get("inputs"):
        return []
    program = min(manifest["programs"], key=lambda entry: (entry["batch_size"], entry.get("sequence_length") or 0))
    sizes = {"batch": program["batch_size"], "sequence": program.get("sequence_length")}

    def nested(zero: Any, shape: list[Any]) -> Any:
        return [nested(zero, shape[1:])] * int(sizes.get(shape[0], shape[0]) or 1) if shape else zero

    inputs = {
        entry["name"]: nested(False if entry["dtype"] == "bool" else 0, entry["shape"]) for entry in manifest["inputs"]
    }
    return [{"inputs": inputs, "outputs": {}}]


def warm(example: dict[str, Any], **tolerance: float) -> str:
    """Send a request; what went wrong, or is wrong with the answer, or nothing."""
    body = json.dumps({"inputs": example["inputs"]}).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(server.url("/invocations"), body, {"Content-Type": "application/json"}),
            timeout=REQUEST_S,
        ) as answer:
            return wrong(answer.read(), example, **tolerance)
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def wrong(answer: bytes, example: dict[str, Any], atol: float = 0, rtol: float = 0) -> str:
    """The output that is not as the example has it, or nothing. NaN is within no tolerance."""
    for name, known in {**example["outputs"], **example.get("samples", {})}.items():
        every, known = (known["every"], known["values"]) if isinstance(known, dict) else (1, known)
        given, expected = flat(json.loads(answer)["outputs"][name])[::every], flat(known)
        allowed = atol + rtol * max(map(abs, expected)) if isinstance(expected[0], float) else 0
        if len(given) != len(expected) or not all(abs(a - b) <= allowed for a, b in zip(given, expected)):
            return f"output {name!r} is off by more than {allowed:g}"
    return ""


def flat(values: Any) -> list[Any]:
    """Nested lists as one."""
    return [one for each in values for one in flat(each)] if isinstance(values, list) else [values]


def main() -> int:
    """Wait until the server is warm; the exit status."""
    started = time.monotonic()
    while not server.answers():
        if time.monotonic() - started > LIMIT_S:
            print(f"ready: GET {server.url('/ping')} does not answer 200 after {LIMIT_S:.0f} s", file=sys.stderr)
            return 1
        time.sleep(min(PAUSE_S, 1))
    if GOLDEN.exists():
        golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    else:
        golden = {"tolerance": {}, "examples": zeros(json.loads(MANIFEST.read_text(encoding="utf-8")))}
    for example in golden["examples"]:
        fault = warm(example, **golden["tolerance"])
        if fault:
            print(f"ready: the model does not answer as it should: {fault}", file=sys.stderr)
            return 1
    say(f"ready: warm after {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
