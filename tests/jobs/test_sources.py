"""A model's files are what somebody uploaded: what is refused of them, and what of an archive is written where."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuron_jobs import archives, fingerprints, names, pickles
from neuron_jobs.errors import JobError
from neuron_jobs.request import SourceFile

ROOM = 1 << 30
Unpack = Callable[..., None]
Pack = Callable[..., Path]


def pack_zip(folder: Path, *members: tuple[str, bytes]) -> Path:
    file = folder / "model.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            entry = zipfile.ZipInfo("x")
            entry.filename = name  # as it stands: the constructor mends names
            entry.compress_type = zipfile.ZIP_DEFLATED
            with warnings.catch_warnings(action="ignore"):  # a name twice
                archive.writestr(entry, content)
    return file


def pack_tar(folder: Path, *members: tuple[str, bytes]) -> Path:
    file = folder / "model.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


KINDS = pytest.mark.parametrize(
    ("pack", "unpack"), [(pack_zip, archives.unpack_zip), (pack_tar, archives.unpack_tar)], ids=["zip", "tar.gz"]
)


@KINDS
class TestAnyArchive:
    def test_gives_its_files_back(self, pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
        unpack(pack(tmp_path, ("config.json", b"{}"), ("onnx/model.onnx", b"abc")), tmp_path / "out", most_bytes=ROOM)
        assert (tmp_path / "out" / "config.json").read_bytes() == b"{}"
        assert (tmp_path / "out" / "onnx" / "model.onnx").read_bytes() == b"abc"

    @pytest.mark.parametrize(
        "name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:evil", "c:/evil", "a//b", "a\tb"]
    )
    def test_with_a_name_that_leads_elsewhere_is_refused(
        self, pack: Pack, unpack: Unpack, name: str, tmp_path: Path
    ) -> None:
        with pytest.raises(JobError, match="the archive is refused"):
            unpack(pack(tmp_path, (name, b"x")), tmp_path / "out", most_bytes=ROOM)
        assert not list(tmp_path.rglob("*evil*"))

    def test_with_a_name_twice_is_refused(self, pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
        with pytest.raises(JobError, match=r"'model\.onnx' is in it twice"):
            unpack(pack(tmp_path, ("model.onnx", b"a"), ("model.onnx", b"b")), tmp_path / "out", most_bytes=ROOM)

    @pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")])
    def test_with_a_file_that_is_a_folder_too_is_refused(
        self, pack: Pack, unpack: Unpack, order: tuple[str, str], tmp_path: Path
    ) -> None:
        with pytest.raises(JobError, match="'a' is"):
            unpack(pack(tmp_path, *((name, b"x") for name in order)), tmp_path / "out", most_bytes=ROOM)

    def test_that_needs_more_room_than_there_is_is_refused(self, pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
        with pytest.raises(JobError, match=r"unpacks to 10,000,000 bytes or more; there is room for 1,000,000"):
            unpack(pack(tmp_path, ("zeros", bytes(10_000_000))), tmp_path / "out", most_bytes=1_000_000)
        assert not list((tmp_path / "out").rglob("zeros"))

    def test_that_unpacks_to_far_more_than_itself_is_refused(
        self, pack: Pack, unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "_SMALL", 1_000_000)
        with pytest.raises(JobError, match="a hundred times its own size"):
            unpack(pack(tmp_path, ("zeros", bytes(10_000_000))), tmp_path / "out", most_bytes=ROOM)

    def test_of_too_many_files_is_refused(
        self, pack: Pack, unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "_MOST_FILES", 3)
        with pytest.raises(JobError, match="too many files; at most 3"):
            unpack(pack(tmp_path, *((f"f{n}", b"x") for n in range(4))), tmp_path / "out", most_bytes=ROOM)

    def test_cut_short_is_refused(self, pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
        archive = pack(tmp_path, ("model.onnx", bytes(range(256)) * 500))
        archive.write_bytes(archive.read_bytes()[:-200])
        with pytest.raises(JobError, match="the archive is damaged"):
            unpack(archive, tmp_path / "out", most_bytes=ROOM)

    def test_leaves_an_archive_inside_it_as_it_is(self, pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
        inner = pack_zip(tmp_path, ("../evil", b"x")).read_bytes()
        unpack(pack(tmp_path, ("inner.zip", inner)), tmp_path / "out", most_bytes=ROOM)
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["inner.zip"]

    @settings(max_examples=200, deadline=None)
    @given(
        name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
        | st.from_regex(r"[./\\a]{1,8}", fullmatch=True)
    )
    @example(name="..")
    @example(name="a/..")
    @example(name="\x00")
    @example(name="a/\x00")
    def test_of_any_name_writes_below_its_folder_or_is_refused(
        self, pack: Pack, unpack: Unpack, tmp_path_factory: pytest.TempPathFactory, name: str
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        try:
            archive = pack(folder, (name, b"content"))
        except (ValueError, UnicodeError):
            return  # not to be packed
        before = set(folder.rglob("*"))
        with contextlib.suppress(JobError):
            unpack(archive, folder / "in" / "deep", most_bytes=ROOM)
        written = [path for path in set(folder.rglob("*")) - before if path.is_file()]
        assert all(folder / "in" / "deep" in path.parents for path in written)


@settings(max_examples=500, deadline=None)
@given(name=st.text(max_size=60) | st.from_regex(r"(\.\.?|a|/|\\|C:){1,6}", fullmatch=True))
@example(name="0:")
def test_a_name_that_passes_stays_in_its_folder_on_every_system(name: str) -> None:
    import ntpath
    import posixpath

    if names.why_not(name):
        return
    assert posixpath.normpath(posixpath.join("/in/deep", name)).startswith("/in/deep/")
    assert ntpath.normpath(ntpath.join("z:\\in\\deep", name)).startswith("z:\\in\\deep\\")
    assert "\0" not in name


class TestTar:
    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
    def test_with_a_link_or_a_device_is_refused(self, kind: bytes, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
            entry = tarfile.TarInfo("model.onnx")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        with pytest.raises(JobError, match=r"'model\.onnx' is a link or a special file"):
            archives.unpack_tar(tmp_path / "model.tar.gz", tmp_path / "out", most_bytes=ROOM)

    def test_made_of_a_folder_as_users_make_it_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "model" / "code").mkdir(parents=True)
        (tmp_path / "model" / "config.json").write_text("{}")
        (tmp_path / "model" / "code" / "inference.py").write_text("")
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "model", arcname=".")
        archives.unpack_tar(tmp_path / "model.tar.gz", tmp_path / "out", most_bytes=ROOM)
        assert (tmp_path / "out" / "code" / "inference.py").exists()

    def test_with_an_endless_header_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        entry = tarfile.TarInfo("././@PaxHeader")
        entry.type, entry.size = tarfile.XHDTYPE, 50_000_000
        (tmp_path / "model.tar.gz").write_bytes(gzip.compress(entry.tobuf() + bytes(50_000_000)))
        with pytest.raises(JobError, match="far too long"):
            archives.unpack_tar(tmp_path / "model.tar.gz", tmp_path / "out", most_bytes=ROOM)

    def test_that_is_none_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.tar.gz").write_bytes(b"no archive")
        with pytest.raises(JobError, match=r"no tar\.gz"):
            archives.unpack_tar(tmp_path / "model.tar.gz", tmp_path / "out", most_bytes=ROOM)


class TestZip:
    def test_with_a_name_cut_by_a_zero_byte_is_refused(self, tmp_path: Path) -> None:
        archive = pack_zip(tmp_path, ("model.onnx0.txt", b"x"))
        archive.write_bytes(archive.read_bytes().replace(b"model.onnx0.txt", b"model.onnx\0.txt"))
        with pytest.raises(JobError, match="control characters"):
            archives.unpack_zip(archive, tmp_path / "out", most_bytes=ROOM)

    def test_whose_members_are_longer_than_they_say_is_refused(self, tmp_path: Path) -> None:
        archive = pack_zip(tmp_path, ("zeros", bytes(5_000_000)))
        archive.write_bytes(archive.read_bytes().replace(struct.pack("<L", 5_000_000), struct.pack("<L", 10)))
        with pytest.raises(JobError):
            archives.unpack_zip(archive, tmp_path / "out", most_bytes=ROOM)
        assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 10

    def test_that_is_encrypted_is_refused(self, tmp_path: Path) -> None:
        archive = pack_zip(tmp_path, ("model.onnx", b"x"))
        content = bytearray(archive.read_bytes())
        content[content.index(b"PK\x01\x02") + 8] |= 1
        archive.write_bytes(content)
        with pytest.raises(JobError, match=r"'model\.onnx' is encrypted"):
            archives.unpack_zip(archive, tmp_path / "out", most_bytes=ROOM)


def torch_zip(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps({}) if name.endswith(".pkl") else b"x")
    return content.getvalue()


SAFETENSORS = struct.pack("<Q", 0x0280) + b'{"w": ' + b" " * 700  # begins as a pickle of protocol 2 does
PICKLES = {
    "pytorch_model.bin": torch_zip("archive/data.pkl", "archive/data/0", "archive/version"),
    "old.pt": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps({"w": 1}, 2),
    "model.onnx": pickle.dumps({"w": [1, 2, 3]}),
    "five.bin": pickle.dumps([1, 2, 3], 5),
    "text.pkl": pickle.dumps({"w": 1}, 0),
    "scikit.joblib": b"\x78\x9c compressed",
    "package.pt": torch_zip("p/model/model.pkl", "p/.data/extern_modules", "p/code.py"),
    "beside.pt": torch_zip("s/constants.pkl", "s/code/m.py", "s/data.pkl", "evil/data.pkl"),
}
OTHERS = {
    "model.safetensors": SAFETENSORS,
    "script.pt": torch_zip("s/constants.pkl", "s/code/__torch__.py", "s/data.pkl", "s/code/m.debug_pkl", "s/data/0"),
    "weights.bin": bytes(range(256)) * 4,
    "config.json": b"{}",
    "empty.bin": b"",
    "data.npz": torch_zip("w.npy"),
}


class TestPickles:
    @pytest.mark.parametrize("name", PICKLES)
    def test_are_known_by_what_they_hold(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(PICKLES[name])
        with pytest.raises(JobError, match=f"{name} is a pickle, which can run code"):
            pickles.refuse(tmp_path, ())

    @pytest.mark.parametrize("name", OTHERS)
    def test_are_not_seen_in_other_files(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(OTHERS[name])
        pickles.refuse(tmp_path, ())

    def test_are_taken_where_a_pattern_names_them(self, tmp_path: Path) -> None:
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "pytorch_model.bin").write_bytes(PICKLES["pytorch_model.bin"])
        pickles.refuse(tmp_path, ["pytorch_model*.bin"])

    @settings(max_examples=200, deadline=None)
    @given(
        value=st.recursive(
            st.integers() | st.text() | st.binary() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
        ),
        protocol=st.integers(2, 5),
    )
    def test_of_anything_are_known(
        self, value: object, protocol: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        file = tmp_path_factory.getbasetemp() / "anything.bin"
        file.write_bytes(pickle.dumps(value, protocol))
        assert pickles.is_pickle(file)

    def test_of_a_local_model_stop_the_job(self, job: Any, magika_model: Path) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
        (job.source / "training_args.bin").write_bytes(PICKLES["pytorch_model.bin"])
        assert job.run() == 1
        assert "error: training_args.bin is a pickle" in job.message.read_text()

    def test_that_the_file_asks_for_do_not(self, job: Any, magika_model: Path) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
        (job.source / "training_args.bin").write_bytes(PICKLES["pytorch_model.bin"])
        job.request["model"]["source"]["include"] = ["training_args.bin"]
        assert job.run() == 0, job.printed


def described(path: str, content: bytes, kind: str) -> dict[str, Any]:
    digests = {
        "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
        "md5": hashlib.md5(content).hexdigest(),
        "crc64nvme": base64.b64encode(fingerprints.crc64nvme_in_python(content).to_bytes(8, "big")).decode(),
    }
    return {"path": path, "size": len(content), "content": f"{kind}:{digests[kind]}" if kind else ""}


class TestFingerprints:
    def test_crc64nvme_is_s3s(self) -> None:
        assert fingerprints.crc64nvme_in_python(b"123456789") == 0xAE8B14860A799888
        assert (
            fingerprints.crc64nvme_in_python(b"6789", fingerprints.crc64nvme_in_python(b"12345")) == 0xAE8B14860A799888
        )

    @pytest.mark.parametrize("kind", ["sha256", "md5", "crc64nvme"])
    def test_another_content_of_the_same_length_is_refused(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"after.")
        file = SourceFile(**described("model.onnx", b"before", kind))
        with pytest.raises(JobError, match=r"model\.onnx has another content than before"):
            fingerprints.check(tmp_path, [file])

    @pytest.mark.parametrize("kind", ["sha256", "md5", "crc64nvme", ""])
    def test_the_same_content_passes(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"content")
        fingerprints.check(tmp_path, [SourceFile(**described("model.onnx", b"content", kind))])

    @pytest.mark.parametrize(
        ("expected", "why"),
        [
            (["model.onnx", "config.json"], "config.json is gone"),
            ([], "model.onnx is new"),
        ],
    )
    def test_files_that_came_and_went_are_refused(self, expected: list[str], why: str, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"content")
        with pytest.raises(JobError, match=why):
            fingerprints.check(tmp_path, [SourceFile(name, 7, "") for name in expected])

    def test_a_file_that_grew_is_refused_by_the_job(self, job: Any, magika_model: Path) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
        job.request["model"]["source"]["files"] = [{"path": "model.onnx", "size": 1, "version": "v1", "content": ""}]
        assert job.run() == 1
        assert "bytes and had 1: the model's files were changed" in job.message.read_text()

    def test_a_prefix_that_is_one_objects_key_is_that_file(self, job: Any, magika_model: Path) -> None:
        (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
        file = described("", magika_model.read_bytes(), "sha256")
        job.request["model"]["source"] |= {"uri": "s3://models/magika/model.onnx", "files": [file]}
        assert job.run() == 0, job.printed


def test_one_tar_gz_under_the_prefix_is_the_model(job: Any, magika_model: Path) -> None:
    pack_tar(job.source, ("model.onnx", magika_model.read_bytes()))
    assert job.run() == 0, job.printed


def test_a_tar_gz_beside_other_files_is_not_unpacked(job: Any, magika_model: Path) -> None:
    pack_tar(job.source, ("../evil", b""))
    (job.source / "model.onnx").write_bytes(magika_model.read_bytes())
    assert job.run() == 0, job.printed
