"""The compiled model, whole, in ``/opt/neuron-cdk/artifact``.

Downloaded beside its place, every file compared with the sha256 of the artifact's ``manifest.json`` (its form:
``neuron_jobs.manifest``), then renamed: what has the name is whole. On the root volume, so that it outlives the stop of
an instance in a warm pool; what is there already and whole is not downloaded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .instance import PAUSE_S, say

PLACE = Path("/opt/neuron-cdk/artifact")
PARTIAL = PLACE.with_name("artifact.partial")
ATTEMPTS = 5


def faults(folder: Path) -> dict[str, str]:
    """Files of the folder that are not what its manifest says, and how; empty when it is whole."""
    try:
        document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        digests = {entry["path"]: entry["sha256"] for entry in document["files"]}
        key = document["artifact_key"]
    except FileNotFoundError:
        return {"manifest.json": "is missing"}
    except (KeyError, TypeError, ValueError) as error:
        return {"manifest.json": f"cannot be read ({error!r})"}
    outside = [path for path in digests if Path(path).is_absolute() or ".." in Path(path).parts]
    if outside:
        return {"manifest.json": f"lists files outside the artifact: {outside}"}
    if f"/{key}/" not in os.environ["ARTIFACT_URI"]:
        return {"manifest.json": f"is of artifact {key}, not of {os.environ['ARTIFACT_URI']}"}
    found = {path: fault for path, digest in digests.items() if (fault := _fault(folder / path, digest))}
    extra = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    return {**found, **dict.fromkeys(sorted(extra - {*digests, "manifest.json"}), "is not in the manifest")}


def _fault(file: Path, wanted: str) -> str:
    if not file.is_file():
        return "is missing"
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return "" if digest.hexdigest() == wanted else "does not have the sha256 that the manifest gives"


def download() -> str:
    """Bring the artifact into PARTIAL, keeping what an attempt before has brought; what is wrong, or nothing."""
    uri = os.environ["ARTIFACT_URI"]
    command = ["aws", "s3", "sync", uri, str(PARTIAL), "--region", os.environ["REGION"], "--only-show-errors"]
    status = subprocess.run(command, check=False).returncode
    wrong = faults(PARTIAL)
    for path in wrong:
        (PARTIAL / path).unlink(missing_ok=True)  # the next attempt takes it anew; sync leaves what has the size
    if status:
        return f"aws s3 sync {uri}: status {status}"
    return "; ".join(f"{path} {fault}" for path, fault in wrong.items())


def main() -> int:
    """Have the artifact; the exit status."""
    if PLACE.is_dir():
        wrong = faults(PLACE)
        if not wrong:
            say("artifact: there already, and whole")
            return 0
        say(f"artifact: what is there is not whole: {wrong}")
    for attempt in range(1, ATTEMPTS + 1):
        fault = download()
        if not fault:
            shutil.rmtree(PLACE, ignore_errors=True)
            PARTIAL.rename(PLACE)
            say(f"artifact: {os.environ['ARTIFACT_URI']}")
            return 0
        print(f"artifact: attempt {attempt} of {ATTEMPTS}: {fault}", file=sys.stderr, flush=True)
        time.sleep(PAUSE_S * attempt)
    return 1


if __name__ == "__main__":
    sys.exit(main())
