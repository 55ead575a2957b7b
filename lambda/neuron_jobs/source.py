"""The model's files: where SageMaker put them, unpacked if they came as one archive, and checked either way."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from . import archives, fingerprints, pickles
from .errors import JobError
from .request import SourceFile

_ARCHIVE = (".tar.gz", ".tgz")


def prepare(
    source: Path,
    kind: str,
    scratch: Path,
    *,
    files: Sequence[SourceFile] | None = None,
    include: Sequence[str] = (),
) -> Path:
    """Give the folder that holds the model's files.

    :param source: what SageMaker downloaded.
    :param kind: ``s3``: the files themselves, or one ``.tar.gz`` of them alone, as SageMaker's users have it;
        ``asset``: one zip of the folder. Archives are unpacked into ``scratch``. ``huggingface``: the job fetches them.
    :param files: what the artifact's key was made of, where that is known.
    :param include: patterns of pickles that may be there.
    :raises JobError: when there is nothing, or something that is refused.
    """
    if kind == "huggingface":
        return scratch
    found = files_in(source) if source.is_dir() else []
    if not found:
        raise JobError("the model's source is empty: no file was downloaded from it")
    if files is not None:
        fingerprints.check(source, files)
    room = shutil.disk_usage(scratch).free
    if kind == "asset":
        if len(found) != 1 or not zipfile.is_zipfile(found[0]):
            raise JobError(f"a model from a local path comes as one zip; found {listing(found, source)}")
        archives.unpack_zip(found[0], scratch, most_bytes=room)
        model = scratch
    elif len(found) == 1 and found[0].name.endswith(_ARCHIVE):
        archives.unpack_tar(found[0], scratch, most_bytes=room)
        model = scratch
    else:
        model = source
    pickles.refuse(model, include)
    return model


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
