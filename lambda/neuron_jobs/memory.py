"""Whether a compile failed because its host has too little memory, told from what it printed.

Linux kills the largest process when memory runs out. That is a compiler's child more often than this job's program,
which then ends with status 1, as it does after any error; the container's own status (137) tells nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

TOO_LITTLE = "error: out of memory: the compile needs more than this host has"
"""The last line of the exit message of such a job. ``neuron_hooks.compile.failure`` looks for it."""

# What is printed of a process that was killed (signal 9), or that was refused more.
_KILLED = re.compile(
    "|".join(
        (
            # neuronx-cc: "[F137] neuronx-cc was forcibly killed - This most commonly occurs due to insufficient system
            # memory. Using a smaller data type, dimensions, batch size, or a larger instance type may help.", before it
            # "Backend exited with code -9" (https://github.com/aws-neuron/aws-neuron-samples/issues/64).
            r"\[F137\]",
            r"neuronx?-cc was forcibly killed",
            r"exited with code -9\b",
            # torch_neuronx.trace: "RuntimeError: neuronx-cc failed with -9"
            # (https://github.com/aws-neuron/aws-neuron-samples/issues/10).
            r"neuronx?-cc failed with (?:-9|137)\b",
            # torch_neuron.trace: "INFO:Neuron:Compile command returned: -9", "normally … due to the OOM (out of memory)
            # killer" (https://github.com/aws-neuron/aws-neuron-sdk/issues/431).
            r"Compile command returned: -9\b",
            # Python's CalledProcessError, of a compiler or of a shell between.
            r"died with <Signals\.SIGKILL: 9>",
            r"returned non-zero exit status 137\b",
            # Python's own and the operating system's, for who may not have more.
            r"^(?:\w+\.)*_?(?:Array)?MemoryError\b",
            r"Cannot allocate memory",
            # ONNX Runtime: "BFCArena::AllocateRawInternal … Failed to allocate memory for requested buffer of size …"
            # (https://github.com/microsoft/onnxruntime/issues/20038). C++'s own, of any compiler.
            r"Failed to allocate memory for requested buffer of size",
            r"\bstd::bad_alloc\b",
            # engines.tool
            r"^error: \S+ was killed \(signal 9\)",
        )
    )
)


def ran_out(logs: Iterable[Path]) -> bool:
    """Whether one of the logs of a compile that failed says so."""
    return any(_KILLED.search(line) for log in logs for line in _lines(log))


def _lines(log: Path) -> Iterable[str]:
    try:
        with log.open(encoding="utf-8", errors="replace") as text:
            yield from text
    except OSError:
        return
