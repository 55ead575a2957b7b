"""Archives that nobody vouches for: a zip, a compressed tar. Unpacked into a fresh folder, or refused with a reason.

Refused: names that lead out of the folder, are absolute, have a drive or control characters; links, devices and sparse
files; encryption; a name twice, or one that is a file here and a folder there; more than 10,000 files; more bytes than
there is room for, declared or found; contents a hundred times as large as the archive, when that is much. Owners,
rights and times in the archive are not taken over. An archive inside is a file like any other. Names that differ in
case alone are different files, as they are where the jobs run.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from .errors import JobError
from .names import why_not

_MOST_FILES = 10_000
_CHUNK = 1 << 20
_MOST_RATIO = 100
_SMALL = 1 << 30  # bytes that may come of any archive
_MOST_HEADER = 4 << 20  # a tar's header that is longer holds no name


def unpack_zip(archive: Path, target: Path, *, most_bytes: int) -> None:
    """Extract a zip; everything that its directory says is checked before anything is written.

    :raises JobError: naming the member and the reason.
    """
    room = _Room(archive, target, most_bytes)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                _check_zip_member(member)
                # Not is_dir(), which looks at what is left of a name before its first NUL, and fails where nothing is.
                room.announce(member.orig_filename, member.file_size, folder=member.orig_filename.endswith("/"))
            for member in members:
                if not member.is_dir():
                    with opened.open(member) as content:
                        room.write(member.filename, content)
    # What zipfile raises for bytes that are no sound archive; NotImplementedError is for ways to compress it lacks.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise JobError(f"the archive is damaged, or of a kind that is not read: {error}") from error


def unpack_tar(archive: Path, target: Path, *, most_bytes: int) -> None:
    """Extract a ``.tar.gz``; each member is checked before it is written, and the folder is nobody's until the end.

    :raises JobError: naming the member and the reason.
    """
    room = _Room(archive, target, most_bytes)
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=_ShortReads(stream), mode="r:") as opened:
            for member in opened:
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise JobError(f"the archive is refused: {member.name!r} is a link or a special file")
                name = member.name.removeprefix("./") if member.name != "." else ""
                if member.isdir() and not name:
                    continue  # the folder itself, as "tar -C folder ." writes it
                room.announce(name, member.size, folder=member.isdir())
                content = opened.extractfile(member)
                if content is not None:
                    room.write(name, content)
                opened.members = []  # type: ignore[attr-defined]  # else it keeps every header
    except (tarfile.TarError, zlib.error, EOFError, OSError, UnicodeError) as error:
        raise JobError(f"the archive is damaged, or no tar.gz: {error}") from error


class _Room:
    """What may still be written, and what names are taken."""

    def __init__(self, archive: Path, target: Path, most_bytes: int) -> None:
        self._target = target
        self._most = min(most_bytes, max(_SMALL, archive.stat().st_size * _MOST_RATIO))
        self._why = (
            f"there is room for {most_bytes:,}"
            if self._most == most_bytes
            else f"a hundred times its own size is {self._most:,}, and nothing real is packed so well"
        )
        self._announced = self._written = 0
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def announce(self, name: str, size: int, *, folder: bool) -> None:
        """Take a member by what the archive says of it."""
        plain = name[:-1] if folder and name.endswith("/") else name
        if reason := why_not(plain):
            raise JobError(f"the archive is refused: {name[:200]!r} {reason}")
        parents = {plain[:index] for index, character in enumerate(plain) if character == "/"}
        if folder:
            parents.add(plain)
        elif plain in self._files or plain in self._folders:
            raise JobError(f"the archive is refused: {plain[:200]!r} is in it twice")
        if clash := self._files & parents:
            raise JobError(f"the archive is refused: {sorted(clash)[0][:200]!r} is a file and a folder in it")
        self._folders |= parents
        if not folder:
            self._files.add(plain)
        if len(self._files) + len(self._folders) > _MOST_FILES:
            raise JobError(f"the archive holds too many files; at most {_MOST_FILES} are taken")
        self._announced += size
        if self._announced > self._most:
            raise JobError(f"the archive unpacks to {self._announced:,} bytes or more; {self._why}")

    def write(self, name: str, content: IO[bytes]) -> None:
        """Write an announced file, counting what really comes."""
        file = self._target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as writing:
            while chunk := content.read(_CHUNK):
                self._written += len(chunk)
                if self._written > self._announced or self._written > self._most:
                    raise JobError(f"the archive holds more than it says, at {name[:200]!r}; {self._why}")
                writing.write(chunk)


class _ShortReads(io.RawIOBase):
    """``tarfile`` reads a header of whatever length it announces at once, into memory."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise JobError("the archive is refused: a header in it is far too long")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _check_zip_member(member: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise JobError(f"the archive is refused: {member.filename!r} is a link or a special file")
    if member.flag_bits & 0x1:
        raise JobError(f"the archive is refused: {member.filename!r} is encrypted")
