"""The compile job: ``python3 -m neuron_jobs.compile``, the entry point of a SageMaker processing container.

Below ``/opt/ml`` (or ``NEURON_JOBS_ROOT``), laid out as in SageMaker's guide "How Amazon SageMaker Processing
Configures Input and Output For Your Processing Container":

- ``processing/input/request/request.json``: what to compile (``request.CompileRequest``);
- ``processing/input/source``: the model's files;
- ``processing/output``: the artifact, uploaded when the container ends: compiled files, ``compile.log``,
  ``golden.json`` where its server speaks this project's format (``verification``), and ``manifest.json``, written last;
- ``output/message``: on failure, the end of the log. ``DescribeProcessingJob`` gives it as ``ExitMessage`` (at most
  1,024 characters). Its last line is ``memory.TOO_LITTLE`` where a larger host may help.

Exit status 0 when the manifest is written, else 1.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from . import engines, joblog, manifest, memory, request, source, verification
from .errors import JobError

_MESSAGE_CHARACTERS = 900
_LOG = "compile.log"


def main(root: Path) -> int:
    """Run the job below ``root``."""
    signal.signal(signal.SIGTERM, _stop)
    output = root / "processing" / "output"
    output.mkdir(parents=True, exist_ok=True)
    log = output / _LOG
    why = ""
    try:
        with joblog.tee(log):
            facts = _run(root / "processing" / "input", output)
        if facts is not None:
            manifest.write(output, facts)
            return 0
        if memory.ran_out(output.glob("*.log")):
            why = memory.TOO_LITTLE
    except _Stopped:
        why = "error: the job was stopped (SIGTERM) before the compile ended"
    if why:
        print(why, flush=True)
    message = root / "output" / "message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(f"{joblog.tail(log, _MESSAGE_CHARACTERS)}\n{why}".strip(), encoding="utf-8")
    return 1


def _run(inputs: Path, output: Path) -> dict[str, object] | None:
    """Compile, and give the manifest's facts; ``None`` after a failure, which the log then ends with."""
    # SageMaker puts the job's volume under /opt/ml; a container's own /tmp may be too small for a model.
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=inputs.parent))
    try:
        wanted = request.load(inputs / "request" / "request.json")
        print(f"{wanted.name}: {wanted.engine} for {wanted.target}, artifact {wanted.artifact_key}", flush=True)
        model = source.prepare(
            inputs / "source", wanted.source_kind, scratch, files=wanted.source_files, include=wanted.include
        )
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        started = time.monotonic()
        compiled = engines.find(wanted.engine)(wanted, model, output)
        seconds = round(time.monotonic() - started, 3)
        print(f"compiled by {compiled.compiler} {compiled.version} in {seconds} s", flush=True)
        verified = verification.verify(wanted.engine, wanted.dtype, compiled, model, output)
    except JobError as error:
        print(f"error: {error}", flush=True)
        return None
    except Exception:
        traceback.print_exc()
        return None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "artifact_key": wanted.artifact_key,
        "engine": wanted.engine,
        "target": wanted.target,
        "sdk": wanted.sdk,
        "compiler": {"name": compiled.compiler, "version": compiled.version},
        "command": list(compiled.command),
        "flags": list(compiled.flags),
        "dtype": wanted.dtype,
        "shapes": [
            {"batch_size": program.batch_size, "sequence_length": program.sequence_length}
            for program in compiled.programs
        ],
        "programs": [program.to_json() for program in compiled.programs],
        "inputs": list(compiled.inputs),
        "outputs": list(compiled.outputs),
        **({"source": compiled.source} if compiled.source else {}),
        "log": _LOG,
        "started_at": started_at,
        "compile_seconds": seconds,
        "host": {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "verification": verified,
    }


class _Stopped(BaseException):
    """SageMaker ends the job, because its time is over or someone asked: SIGTERM, and SIGKILL 120 s later."""


def _stop(_signal: int, _frame: object) -> None:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main(Path(os.environ.get("NEURON_JOBS_ROOT", "/opt/ml"))))
