"""A job's log: everything it and its compilers print, on standard output and in a file."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def tee(file: Path) -> Iterator[None]:
    """Copy what is written to file descriptors 1 and 2 meanwhile, by C++ and by child processes too, into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    reading, writing = os.pipe()

    def copy() -> None:
        with open(reading, "rb", buffering=0) as pipe, file.open("wb", buffering=0) as log:
            while chunk := pipe.read(1 << 16):
                os.write(saved[0], chunk)
                log.write(chunk)

    copier = threading.Thread(target=copy, daemon=True)
    copier.start()
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        # A compiler's stray child may hold the pipe open; the log ends here all the same.
        copier.join(timeout=5)
        os.close(saved[1])


def tail(file: Path, characters: int) -> str:
    """The end of a log, from the start of a line where that is possible; control characters become spaces."""
    try:
        text = file.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return ""
    clean = "".join(character if character.isprintable() or character == "\n" else " " for character in text).strip()
    if len(clean) <= characters:
        return clean
    cut = clean[-characters:]
    return cut.partition("\n")[2] or cut
