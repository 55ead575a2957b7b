"""The model's files: where SageMaker put them, unpacked if they came as one zip."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from .errors import JobError

_MOST_FILES = 10_000


def prepare(source: Path, kind: str, scratch: Path) -> Path:
    """Give the folder that holds the model's files.

    :param source: what SageMaker downloaded.
    :param kind: ``s3``: the files themselves; ``asset``: one zip of the folder, unpacked into ``scratch``.
    :raises JobError: when there is nothing, or not the one zip an asset is.
    """
    files = files_in(source) if source.is_dir() else []
    if not files:
        raise JobError("the model's source is empty: no file was downloaded from it")
    if kind != "asset":
        return source
    if len(files) != 1 or not zipfile.is_zipfile(files[0]):
        raise JobError(f"a model from a local path comes as one zip; found {listing(files, source)}")
    free = shutil.disk_usage(scratch).free
    unpack(files[0], scratch, most_bytes=free)
    return scratch


def unpack(archive: Path, target: Path, *, most_bytes: int) -> None:
    """Extract a zip that nobody vouches for.

    Everything is checked before anything is written: names that leave the folder, links and other special files,
    encryption, a sum of sizes over ``most_bytes`` (``zipfile`` never extracts more than a member declares).

    :raises JobError: naming the member and the reason.
    """
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        if len(members) > _MOST_FILES:
            raise JobError(f"the archive holds {len(members)} files; at most {_MOST_FILES} are taken")
        for member in members:
            _check(member)
        total = sum(member.file_size for member in members)
        if total > most_bytes:
            raise JobError(f"the archive unpacks to {total:,} bytes; there is room for {most_bytes:,}")
        try:
            opened.extractall(target)
        except zipfile.BadZipFile as error:
            raise JobError(f"the archive is damaged: {error}") from error


def _check(member: zipfile.ZipInfo) -> None:
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
        raise JobError(f"the archive is refused: {member.filename!r} would be written outside its folder")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise JobError(f"the archive is refused: {member.filename!r} is a link or a special file")
    if member.flag_bits & 0x1:
        raise JobError(f"the archive is refused: {member.filename!r} is encrypted")


def the_only(folder: Path, *suffixes: str) -> Path:
    """The one file with one of these suffixes, wherever in the folder it lies.

    :raises JobError: saying what was found instead.
    """
    files = files_in(folder)
    wanted = [file for file in files if file.suffix in suffixes]
    if len(wanted) == 1:
        return wanted[0]
    found = listing(wanted or files, folder)
    raise JobError(f"the model's source must hold exactly one {' or '.join(suffixes)} file; found {found}")


def files_in(folder: Path) -> list[Path]:
    """Every file below a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def listing(files: list[Path], folder: Path) -> str:
    """Names for a message: a few, then how many more."""
    names = [file.relative_to(folder).as_posix() for file in files[:5]]
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return ", ".join(names) + more if names else "no file"
