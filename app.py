#!/usr/bin/env python3
"""The CDK app: ``cdk deploy -c deployment=deployments/sandbox.yaml``, or alone: ``python app.py``.

Takes the deployment file from the context key ``deployment``, relative to the current folder or absolute. Needs no
credentials and asks AWS nothing.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# A synth lives for seconds: collecting garbage costs more than the garbage does.
gc.disable()
# node keeps what it compiled of the CDK for the next time.
os.environ.setdefault("NODE_COMPILE_CACHE", str(HERE / "node_modules" / ".cache" / "node"))
sys.path[:0] = [str(HERE), str(HERE / "infra")]


def context() -> dict[str, Any]:
    """The feature flags of ``cdk.json``, and on top what the command line hands over."""
    flags = json.loads((HERE / "cdk.json").read_text())["context"]
    given = json.loads(os.environ.get("CDK_CONTEXT_JSON") or "{}")
    overflow = os.environ.get("CONTEXT_OVERFLOW_LOCATION_ENV")  # the CDK command line's file for a context too large
    if overflow:
        given |= json.loads(Path(overflow).read_text())
    return {**flags, **given}


def main() -> int:
    values = context()
    from neuron_cdk import spec

    chosen = values.get("deployment")
    if not chosen:
        print("no deployment file: say which with -c deployment=FILE", file=sys.stderr)
        for file in sorted((HERE / "deployments").glob("*.yaml")):
            print(f"  -c deployment={os.path.relpath(file)}", file=sys.stderr)
        return 2
    try:
        loaded = spec.load(Path(str(chosen)))
        from stacks import build_app

        build_app(loaded.deployment, outdir=os.environ.get("CDK_OUTDIR"), context=values).synth()
    except spec.SpecError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The assembly is written, and node, which ends when its input does, takes 0.4 s to go: nobody needs to wait for it.
    os._exit(code)
