"""The serving container of target cpu, as SageMaker calls it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest


def rows(count: int, seed: int = 7) -> list[list[int]]:
    """Real input of magika's kind: bytes, and 256 where a file is shorter."""
    values: list[list[int]] = np.random.default_rng(seed).integers(0, 257, (count, 2048)).tolist()
    return values


@pytest.fixture(scope="module")
def original(magika_model: Path) -> Any:
    session = ort.InferenceSession(str(magika_model))
    return lambda values: session.run(None, {"bytes": np.array(values, dtype=np.int32)})[0]


def test_ping_answers_once_loaded(server: Any) -> None:
    assert server.get("/ping") == 200


@pytest.mark.parametrize("count", [1, 2, 4, 5, 11], ids=lambda count: f"{count} rows")
def test_any_number_of_rows_answers_as_the_original(server: Any, original: Any, count: int) -> None:
    values = rows(count)
    status, document = server.post({"inputs": {"bytes": values}})
    assert status == 200
    np.testing.assert_allclose(document["outputs"]["target_label"], original(values), rtol=1e-5, atol=1e-6)


def test_a_bare_list_is_the_only_input(server: Any) -> None:
    values = rows(1)
    assert server.post(values) == server.post({"inputs": {"bytes": values}})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"inputs": {"byte": rows(1)}}, "expected the inputs ['bytes'], given ['byte']"),
        ({"inputs": {"bytes": [[1, 2, 3]]}}, "takes int32 of shape ['batch', 2048]; given shape [1, 3]"),
        ({"inputs": {"bytes": [1, 2, 3]}}, "given shape [3]"),
        ({"inputs": {"bytes": [[1], [1, 2]]}}, "the rows given differ in length"),
        ({"inputs": {"bytes": [["a"] * 2048]}}, "given text"),
        ({"inputs": {"bytes": [[0.5] * 2048]}}, "given numbers with a fraction"),
        ({"inputs": {"bytes": [[2**31] * 2048]}}, "a value is outside -2147483648 to 2147483647"),
        ({"inputs": {"bytes": [[None] * 2048]}}, "given mixed values"),
        ({"inputs": {"bytes": []}}, "given no values"),
        ({"instances": []}, "expected {"),
        (3, "expected {"),
        (b"{", "the body is not JSON"),
        (b'{"inputs": {"bytes": [[NaN]]}}', "NaN is not a JSON number"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"", "the body is not JSON"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_request_that_cannot_be_answered_is_explained(server: Any, document: object, message: str) -> None:
    status, answer = server.post(document)
    assert status == 400
    assert message in answer["error"]


def test_a_refused_request_harms_no_other(server: Any) -> None:
    server.post(b"{")
    assert server.post(rows(1))[0] == 200


def test_another_content_type_is_refused(server: Any) -> None:
    status, answer = server.post(rows(1), **{"Content-Type": "application/x-npy"})
    assert (status, answer["error"]) == (415, "Content-Type application/x-npy is not understood; send application/json")


def test_another_path_is_refused(server: Any) -> None:
    assert server.post(rows(1), path="/predict")[0] == 404
    assert server.get("/") == 404


def test_a_body_over_sagemakers_limit_is_refused_unread(server: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.listening["port"], timeout=300)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(26 * 1024 * 1024))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "at most 26214400 are taken" in json.load(answer)["error"]
    connection.close()


def test_requests_at_once_get_their_own_answers(server: Any, original: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: server.post(rows(2, seed)), range(8)))
    for seed, (status, document) in enumerate(answers):
        assert status == 200
        np.testing.assert_allclose(document["outputs"]["target_label"], original(rows(2, seed)), rtol=1e-5, atol=1e-6)


def test_one_connection_carries_many_requests(server: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.listening["port"], timeout=300)
    for _ in range(3):
        connection.request("POST", "/invocations", json.dumps(rows(1)), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


class TestStart:
    """An artifact that is not whole never serves."""

    @pytest.fixture
    def artifact(self, compiled: Any, tmp_path: Path) -> Path:
        folder: Path = shutil.copytree(compiled.output, tmp_path / "artifact")
        return folder

    def refuse(self, serve: Any, folder: Path, **variables: str) -> str:
        server = serve(folder, **variables)
        out, err = server.process.communicate(timeout=300)
        assert server.process.returncode == 1
        assert (server.listening, out) == ({}, "")
        (line,) = err.splitlines()
        return line

    def test_a_flipped_byte(self, serve: Any, artifact: Path) -> None:
        program = artifact / "batch-4.ort"
        content = bytearray(program.read_bytes())
        content[len(content) // 2] ^= 1
        program.write_bytes(content)
        assert self.refuse(serve, artifact) == (
            "error: the artifact is corrupt: batch-4.ort does not have the sha256 that the manifest gives"
        )

    def test_a_missing_program(self, serve: Any, artifact: Path) -> None:
        (artifact / "batch-1.ort").unlink()
        assert self.refuse(serve, artifact) == "error: the artifact is incomplete: batch-1.ort is missing"

    def test_a_missing_manifest(self, serve: Any, artifact: Path) -> None:
        (artifact / "manifest.json").unlink()
        assert self.refuse(serve, artifact) == "error: the artifact is incomplete: it has no manifest.json"

    def test_a_manifest_cut_short(self, serve: Any, artifact: Path) -> None:
        manifest = artifact / "manifest.json"
        manifest.write_bytes(manifest.read_bytes()[:100])
        assert self.refuse(serve, artifact).startswith("error: the artifact is corrupt: manifest.json cannot be read")

    def test_an_artifact_of_another_engine(self, serve: Any, artifact: Path) -> None:
        manifest = artifact / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"engine": "torch-neuronx"}))
        assert "compiled by torch-neuronx; this server runs onnxruntime's" in self.refuse(serve, artifact)

    def test_a_port_in_use(self, serve: Any, artifact: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            line = self.refuse(serve, artifact, SAGEMAKER_BIND_TO_PORT=str(port))
        assert line == f"error: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_stopping_finishes_the_request_under_way(serve: Any, compiled: Any) -> None:
    server = serve(compiled.output)
    body = json.dumps(rows(4)).encode()
    with socket.create_connection(("127.0.0.1", server.listening["port"]), timeout=300) as client:
        head = f"POST /invocations HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100")  # the server has read this far: the request is under way
        client.sendall(body[:100])
        server.process.terminate()
        # The server takes no new connection once it drains.
        while True:
            try:
                socket.create_connection(("127.0.0.1", server.listening["port"]), timeout=1).close()
            except OSError:
                break
        client.sendall(body[100:])
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 200
        assert len(json.load(answer)["outputs"]["target_label"]) == 4
    assert server.process.wait(timeout=300) == 0


def test_stopping_an_idle_server_does_not_wait_for_its_idle_connections(serve: Any, compiled: Any) -> None:
    server = serve(compiled.output)
    connection = http.client.HTTPConnection("127.0.0.1", server.listening["port"], timeout=300)
    connection.request("GET", "/ping")
    connection.getresponse().read()
    assert server.stop() == 0
    connection.close()
