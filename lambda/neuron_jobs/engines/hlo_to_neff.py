"""Engine ``neuronx-cc``: the compiler's own command line, on an HLO module that a framework exported.

Source: Neuron's "Neuron Compiler CLI Reference Guide (neuronx-cc)", SDK 2.32.0 (see ``neuron_flags``): ``neuronx-cc
compile <hlo.pb> --framework XLA --target <family> … --output <file>.neff``. The compiler needs no device; it runs only
where AWS's Neuron image is, and the tests of this project put a stand-in in its place that checks the command it is
given.
"""

from __future__ import annotations

import importlib.metadata
import signal
import subprocess
from pathlib import Path

from ..errors import JobError
from ..request import CompileRequest
from ..source import the_only
from . import Compiled, Program, program_name, shapes
from .neuron_flags import flags


def command(request: CompileRequest, hlo: Path, neff: Path, log: Path) -> list[str]:
    """The command line, as words."""
    return [
        "neuronx-cc",
        "compile",
        str(hlo),
        "--framework",
        "XLA",
        "--target",
        request.target,
        *flags(request),
        "--output",
        str(neff),
        "--logfile",
        str(log),
        "--verbose",
        "info",
    ]


def compile(request: CompileRequest, source: Path, output: Path) -> Compiled:
    """Compile the one HLO module of the source. Its shapes are inside it, so there is one program."""
    hlo = the_only(source, ".pb", ".hlo")
    wanted = shapes(request)
    if len(wanted) != 1:
        raise JobError(f"{hlo.name} has its shapes inside: give the one batch size (and sequence length) it has")
    ((batch, length),) = wanted
    program = Program(program_name(batch, length, ".neff"), batch, length)
    words = command(request, hlo, output / program.file, output / "neuronx-cc.log")
    print("+", *words, flush=True)
    _run(words)
    if not (output / program.file).is_file():
        raise JobError(f"neuronx-cc ended well but wrote no {program.file}")
    return Compiled(
        compiler="neuronx-cc",
        version=importlib.metadata.version("neuronx-cc"),
        command=tuple(words),
        programs=(program,),
    )


def _run(words: list[str]) -> None:
    """Run the compiler, its output going where ours goes; it dies with us."""
    try:
        process = subprocess.Popen(words)
    except FileNotFoundError:
        raise JobError("there is no neuronx-cc on PATH: the job's image is not a Neuron image") from None
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status == -signal.SIGKILL:
        raise JobError("neuronx-cc was killed (signal 9), most likely for want of memory: take larger hosts")
    if status != 0:
        raise JobError(f"neuronx-cc ended with status {status}; what it said is above")
