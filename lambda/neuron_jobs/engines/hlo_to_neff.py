"""Engine ``neuronx-cc``: the compiler's own command line, on an HLO module that a framework exported.

Source: Neuron's "Neuron Compiler CLI Reference Guide (neuronx-cc)", SDK 2.32.0 (see ``neuron_flags``): ``neuronx-cc
compile <hlo.pb> --framework XLA --target <family> … --output <file>.neff``. The compiler needs no device; it runs only
where AWS's Neuron image is, and the tests of this project put a stand-in in its place that checks the command it is
given.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from ..errors import JobError
from ..request import CompileRequest
from ..source import the_only
from . import Compiled, Program, program_name, shapes
from .neuron_flags import flags
from .tool import run


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
    run(words)
    if not (output / program.file).is_file():
        raise JobError(f"neuronx-cc ended well but wrote no {program.file}")
    return Compiled(
        compiler="neuronx-cc",
        version=importlib.metadata.version("neuronx-cc"),
        command=tuple(words),
        programs=(program,),
        flags=tuple(flags(request)),
    )
