"""The mirror job and a small hub: what is taken, what is refused, what a bad line does, where a token goes."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from neuron_jobs import hub, mirror
from neuron_jobs.errors import JobError
from tests.jobs.small_hub import REPOSITORY, REVISION, SmallHub

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "model.safetensors": struct.pack("<Q", len(HEADER)) + HEADER + bytes(8),
    "pytorch_model.bin": pickle.dumps({"w": [1.0, 2.0]}),
    "modeling_custom.py": b"import os\n",
    "README.md": b"# tiny\n",
    "LICENSE": b"Apache License\n",
}


@pytest.fixture
def small_hub(magika_model: Path) -> Iterator[SmallHub]:
    with SmallHub({**FILES, "onnx/model.onnx": magika_model.read_bytes()}).running() as running:
        yield running


@pytest.fixture
def mirrored(job: Any, small_hub: SmallHub) -> Callable[..., int]:
    """Run the job against the hub, as SageMaker would."""

    def run(include: tuple[str, ...] = (), secret: str = "", **variables: str) -> int:
        job.request["model"] |= {
            "engine": "mirror",
            "source": {
                "kind": "huggingface",
                "repository": REPOSITORY,
                "revision": REVISION,
                "include": list(include),
                "token_secret_arn": secret,
            },
        }
        code: int = job.run(HF_ENDPOINT=small_hub.address, **variables)
        return code

    return run


def files(job: Any) -> dict[str, bytes]:
    folder = job.output / "repository"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestTheJob:
    def test_takes_weights_tokenizer_and_configuration_byte_for_byte(
        self, job: Any, mirrored: Callable[..., int], small_hub: SmallHub
    ) -> None:
        assert mirrored() == 0, job.printed
        left = {"pytorch_model.bin", "modeling_custom.py", "README.md"}
        assert files(job) == {path: content for path, content in small_hub.files.items() if path not in left}

    def test_says_of_every_file_that_it_leaves_out_why(self, job: Any, mirrored: Callable[..., int]) -> None:
        mirrored()
        assert "left out: pytorch_model.bin: a pickle by its name" in job.printed
        assert "left out: modeling_custom.py: no weights, tokenizer or configuration" in job.printed

    def test_takes_a_pickle_that_a_pattern_names(self, job: Any, mirrored: Callable[..., int]) -> None:
        assert mirrored(include=("pytorch_model.bin",)) == 0, job.printed
        assert files(job)["pytorch_model.bin"] == FILES["pytorch_model.bin"]

    def test_refuses_a_pickle_under_another_name(
        self, job: Any, mirrored: Callable[..., int], small_hub: SmallHub
    ) -> None:
        small_hub.files["model.safetensors"] = pickle.dumps({"w": [1.0, 2.0]})
        assert mirrored() == 1
        assert "model.safetensors is a pickle" in job.message.read_text()

    def test_refuses_a_pattern_that_names_nothing(self, job: Any, mirrored: Callable[..., int]) -> None:
        assert mirrored(include=("*.gguf",)) == 1
        assert "no file of tests/tiny" in job.message.read_text()
        assert "'*.gguf'" in job.message.read_text()

    def test_leaves_a_manifest_with_digests_and_where_it_all_came_from(
        self, job: Any, mirrored: Callable[..., int]
    ) -> None:
        mirrored()
        assert job.manifest["source"] == {
            "kind": "huggingface",
            "repository": REPOSITORY,
            "revision": REVISION,
            "include": [],
            "license": "apache-2.0",
            "left_out": 3,
        }
        assert job.manifest["programs"] == []
        assert {"repository/config.json", "repository/onnx/model.onnx", "compile.log"} <= {
            entry["path"] for entry in job.manifest["files"]
        }

    def test_says_in_a_sentence_that_a_repository_is_gated(
        self, job: Any, mirrored: Callable[..., int], small_hub: SmallHub
    ) -> None:
        small_hub.token = TOKEN
        assert mirrored() == 1
        assert "error: tests/tiny is gated, and the hub does not let us in: give token" in job.message.read_text()
        assert "Traceback" not in job.printed

    def test_compiles_what_it_fetched(self, job: Any, mirrored: Callable[..., int], compile_request: Any) -> None:
        mirrored()
        again = type(job)(job.root.parent / "again", compile_request)
        again.request["model"] |= {"engine": "onnxruntime", "source": {"kind": "s3", "uri": "s3://a/b/"}}
        for path, content in files(job).items():
            (again.source / path).parent.mkdir(parents=True, exist_ok=True)
            (again.source / path).write_bytes(content)
        assert again.run() == 0, again.printed


class TestTheHub:
    """The client alone: no process, no waiting."""

    @pytest.fixture
    def client(self, small_hub: SmallHub) -> hub.Hub:
        self.waits: list[float] = []
        return hub.Hub(small_hub.address, wait=self.waits.append)

    def listed(self, client: hub.Hub, path: str) -> hub.RemoteFile:
        return next(file for file in client.files(REPOSITORY, REVISION) if file.path == path)

    def test_reads_every_page_of_the_list(self, client: hub.Hub, small_hub: SmallHub) -> None:
        assert {file.path for file in client.files(REPOSITORY, REVISION)} == set(small_hub.files)
        assert len([path for path in small_hub.paths() if "/tree/" in path]) > 1

    def test_goes_on_where_the_line_broke(self, client: hub.Hub, small_hub: SmallHub, tmp_path: Path) -> None:
        small_hub.cut = {"onnx/model.onnx"}
        file = self.listed(client, "onnx/model.onnx")
        client.download(REPOSITORY, REVISION, file, tmp_path)
        assert (tmp_path / file.path).read_bytes() == small_hub.files[file.path]
        ranges = [headers.get("Range") for _, path, headers in small_hub.requests if path.startswith("/cdn/")]
        assert ranges == [None, f"bytes={file.size // 2}-"]
        assert self.waits == [2.0]

    def test_tries_a_busy_hub_again_after_the_time_it_asks_for(self, client: hub.Hub, small_hub: SmallHub) -> None:
        small_hub.busy = 2
        assert client.license(REPOSITORY, REVISION) == "apache-2.0"
        assert self.waits == [0.0, 0.0]

    def test_gives_up_after_some_tries(self, client: hub.Hub, small_hub: SmallHub) -> None:
        small_hub.busy = 100
        with pytest.raises(JobError, match="after 6 tries: the hub answered 503"):
            client.license(REPOSITORY, REVISION)

    @pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
    def test_refuses_a_content_that_is_not_the_commits(
        self, client: hub.Hub, small_hub: SmallHub, tmp_path: Path, path: str
    ) -> None:
        small_hub.spoil = {path}
        with pytest.raises(JobError, match="does not have the digest"):
            client.download(REPOSITORY, REVISION, self.listed(client, path), tmp_path)
        assert not [file for file in tmp_path.rglob("*") if file.is_file()]

    @pytest.mark.parametrize("path", ["../evil.json", "/etc/evil.json", "a/../../evil.json", "a\\evil.json"])
    def test_refuses_a_path_that_leads_out(self, client: hub.Hub, small_hub: SmallHub, path: str) -> None:
        small_hub.listed = [{"type": "file", "path": path, "size": 1, "oid": "0" * 40}]
        with pytest.raises(JobError, match="would be written outside its folder"):
            client.files(REPOSITORY, REVISION)

    def test_refuses_more_bytes_than_were_listed(self, client: hub.Hub, small_hub: SmallHub, tmp_path: Path) -> None:
        file = self.listed(client, "config.json")
        small_hub.files["config.json"] += b" "
        with pytest.raises(JobError, match="longer than the 22 bytes"):
            client.download(REPOSITORY, REVISION, file, tmp_path)

    def test_refuses_a_commit_that_the_hub_does_not_have(self, client: hub.Hub) -> None:
        with pytest.raises(JobError, match="no such commit of tests/tiny"):
            client.license(REPOSITORY, "e" * 40)

    def test_refuses_a_repository_that_is_not_there(self, client: hub.Hub) -> None:
        with pytest.raises(JobError, match="private, gated or not there"):
            client.license("tests/none", REVISION)

    @pytest.mark.parametrize("address", ["http://hub.example.com", "file:///etc", "ftp://127.0.0.1"])
    def test_speaks_tls_or_to_this_machine(self, address: str) -> None:
        with pytest.raises(JobError, match="over https only"):
            hub.Hub(address)

    def test_follows_no_redirect_out_of_tls(self, client: hub.Hub, small_hub: SmallHub, tmp_path: Path) -> None:
        file = self.listed(client, "model.safetensors")
        small_hub.elsewhere = "http://elsewhere.example.com"
        with pytest.raises(JobError, match="over https only"):
            client.download(REPOSITORY, REVISION, file, tmp_path)

    def test_sends_its_token_to_the_hub_and_to_nobody_else(self, small_hub: SmallHub, tmp_path: Path) -> None:
        small_hub.token = TOKEN
        client = hub.Hub(small_hub.address, token=TOKEN)
        for path in ("config.json", "model.safetensors"):
            client.download(REPOSITORY, REVISION, self.listed(client, path), tmp_path)
        sent = {host: {headers.get("Authorization") for h, _, headers in small_hub.requests if h == host}
                for host in (small_hub.address, small_hub.elsewhere)}  # fmt: skip
        assert sent == {small_hub.address: {f"Bearer {TOKEN}"}, small_hub.elsewhere: {None}}

    def test_says_that_a_token_has_no_access(self, small_hub: SmallHub) -> None:
        small_hub.token = "another"
        with pytest.raises(JobError, match=r"is gated.*this token.*must be given access") as refused:
            hub.Hub(small_hub.address, token=TOKEN).license(REPOSITORY, REVISION)
        assert TOKEN not in str(refused.value)


class TestTheToken:
    @pytest.fixture
    def secrets(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
            monkeypatch.setenv(name, value)
        with mock_aws():
            yield boto3.client("secretsmanager", region_name="us-east-1")

    @pytest.mark.parametrize(
        "content", [TOKEN, f"{TOKEN}\n", json.dumps({"token": TOKEN}), f'{{"HF_TOKEN": "{TOKEN}"}}']
    )
    def test_is_a_secret_or_a_field_of_one(self, secrets: Any, content: str) -> None:
        arn = secrets.create_secret(Name="hub", SecretString=content)["ARN"]
        assert mirror.read_token(arn) == TOKEN

    @pytest.mark.parametrize("content", ['{"password": "hf_secret"}', "{broken hf_secret", "hf_secret of mine", ""])
    def test_that_is_none_is_refused_without_being_shown(self, content: str) -> None:
        with pytest.raises(JobError, match="holds no token") as refused:
            mirror.token_in(content, SECRET)
        assert "hf_secret" not in str(refused.value)

    def test_that_is_not_there_is_refused_by_what_aws_says(self, secrets: Any) -> None:
        with pytest.raises(JobError, match="Secrets Manager says ResourceNotFoundException"):
            mirror.read_token(SECRET)

    def test_needs_boto3_and_says_so(self, job: Any, mirrored: Callable[..., int], tmp_path: Path) -> None:
        (tmp_path / "boto3.py").write_text("raise ImportError('no boto3')")
        assert mirrored(secret=SECRET, PYTHONPATH=f"{tmp_path}:{Path(hub.__file__).parents[1]}") == 1
        assert "the image has no boto3" in job.message.read_text()

    def test_is_in_no_log_manifest_or_message(
        self, job: Any, mirrored: Callable[..., int], small_hub: SmallHub, tmp_path: Path
    ) -> None:
        """A stand-in for boto3, as the job is a process of its own."""
        small_hub.token = TOKEN
        (tmp_path / "boto3.py").write_text(
            "class client:\n"
            "    def __init__(self, *_, **__): pass\n"
            f"    def get_secret_value(self, SecretId): return {{'SecretString': {TOKEN!r}}}\n"
        )
        assert mirrored(secret=SECRET, PYTHONPATH=f"{tmp_path}:{Path(hub.__file__).parents[1]}") == 0, job.printed
        written = b"".join(path.read_bytes() for path in job.output.rglob("*") if path.is_file())
        assert TOKEN not in job.printed
        assert TOKEN.encode() not in written
