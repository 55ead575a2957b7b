"""Files for an instance as one small tar: user data has 16 KiB, and the sources say why at length."""

from __future__ import annotations

import ast
import base64
import gzip
import io
import tarfile
from functools import cache
from pathlib import Path


@cache
def pack(files: tuple[tuple[str, Path], ...]) -> str:
    """A gzipped tar, in base64, of files given as path in the archive and source; the same bytes at every synth.

    Comments and docstrings stay here; empty lines take their place, so that a line number in a journal is that of the
    source. Files of a kind stand together, which compresses them better. Made once for all fleets that need the same.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source in sorted(files, key=lambda file: (file[1].suffix, file[0])):
            content = without_comments(source.name, source.read_text(encoding="utf-8")).encode()
            entry = tarfile.TarInfo(name)  # by default root's, of 1970
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(plain.getvalue())
    return base64.b64encode(packed.getvalue()).decode()


def without_comments(name: str, text: str) -> str:
    """The text with docstrings and with lines that are only a comment made empty."""
    lines = text.splitlines()
    if name.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            _drop_docstring(node, lines)
    kept = (line if index == 0 or not line.lstrip().startswith("#") else "" for index, line in enumerate(lines))
    return "\n".join(kept) + "\n"


def _drop_docstring(node: ast.AST, lines: list[str]) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if not isinstance(node, documented) or ast.get_docstring(node, clean=False) is None:
        return
    text = node.body[0]
    for number in range(text.lineno, (text.end_lineno or text.lineno) + 1):
        lines[number - 1] = ""
    if len(node.body) == 1 and not isinstance(node, ast.Module):
        lines[text.lineno - 1] = " " * text.col_offset + "pass"
