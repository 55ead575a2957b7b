"""The serving container of target ``cpu``: ``python -m neuron_jobs.serve``.

What a SageMaker endpoint asks of a container ("Use Your Own Inference Code with Hosting Services"): ``GET /ping``
answers 200 once the model is loaded, ``POST /invocations`` answers requests, on the port in ``SAGEMAKER_BIND_TO_PORT``.

``application/json`` in, ``{"inputs": {"<input>": nested list, …}}`` (a bare nested list when the model has one input),
and out, ``{"outputs": {"<output>": nested list, …}}``. A request with fewer rows than a compiled program is padded (and
the padding cut off the answer), one with more than the largest is split.

Environment: ``SERVE_MODEL_DIR`` (``/opt/ml/model``), ``SAGEMAKER_BIND_TO_PORT`` (8080; 0: a free one),
``SERVE_BIND_HOST`` (all interfaces). The first line on standard output, once requests are taken, is
``{"event": "listening", "host": …, "port": …}``. An artifact that is not whole is one line on standard error and exit
status 1. SIGTERM stops taking requests, finishes those under way and exits 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from . import manifest
from .errors import JobError

# InvokeEndpoint takes at most 25 MB (SageMaker Runtime API reference).
MOST_BYTES = 25 * 1024 * 1024
_DRAIN_SECONDS = 30

Tensors = dict[str, npt.NDArray[Any]]


class RequestError(Exception):
    """What the client sent cannot be answered; the message says what would be."""

    status = 400


class TooLargeError(RequestError):
    """The body is over what SageMaker itself would let through."""

    status = 413


class MediaTypeError(RequestError):
    """Something other than JSON."""

    status = 415


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]

    @property
    def batch_axis(self) -> int | None:
        return self.shape.index("batch") if "batch" in self.shape else None


@dataclass(frozen=True)
class _Program:
    batch_size: int
    sequence_length: int | None
    session: ort.InferenceSession


class Model:
    """A compiled artifact in memory.

    :raises JobError: when the folder does not hold a whole artifact of engine ``onnxruntime``.
    """

    def __init__(self, folder: Path) -> None:
        document = manifest.verify(folder)
        if document["engine"] != "onnxruntime":
            raise JobError(f"the artifact was compiled by {document['engine']}; this server runs onnxruntime's")
        self.key: str = document["artifact_key"]
        self.inputs = [_tensor(entry) for entry in document["inputs"]]
        self.outputs = [_tensor(entry) for entry in document["outputs"]]
        try:
            self._programs = sorted(
                (
                    _Program(
                        entry["batch_size"],
                        entry.get("sequence_length"),
                        _session(folder / entry["file"]),
                    )
                    for entry in document["programs"]
                ),
                key=lambda program: program.batch_size,
            )
        except Exception as error:  # onnxruntime's exceptions share no base of their own
            raise JobError(f"the artifact cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error

    def predict(self, body: object) -> dict[str, Any]:
        """Answer one request document.

        :raises RequestError: for inputs the compiled programs do not take.
        """
        feed = self._feed(body)
        rows, length = self._sizes(feed)
        programs = [program for program in self._programs if program.sequence_length == length]
        if not programs:
            known = sorted({program.sequence_length for program in self._programs if program.sequence_length})
            raise RequestError(f"sequence length {length} is not compiled; compiled are {known}")
        answers: list[Tensors] = []
        for start in range(0, rows, programs[-1].batch_size):
            part = min(rows - start, programs[-1].batch_size)
            program = next(program for program in programs if program.batch_size >= part)
            answers.append(self._run(program, feed, start, part))
        return {"outputs": {tensor.name: self._join(tensor, answers).tolist() for tensor in self.outputs}}

    def _feed(self, body: object) -> Tensors:
        inputs = body.get("inputs") if isinstance(body, dict) else body
        if isinstance(inputs, list) and len(self.inputs) == 1:
            inputs = {self.inputs[0].name: inputs}
        names = [tensor.name for tensor in self.inputs]
        if not isinstance(inputs, dict):
            raise RequestError(f'expected {{"inputs": {{name: values}}}} with the names {names}')
        if sorted(inputs) != sorted(names):
            raise RequestError(f"expected the inputs {names}, given {sorted(map(str, inputs))}")
        return {tensor.name: _array(tensor, inputs[tensor.name]) for tensor in self.inputs}

    def _sizes(self, feed: Tensors) -> tuple[int, int | None]:
        """Rows and sequence length of a request, which all its inputs must share."""
        found: dict[str, set[int]] = {"batch": set(), "sequence": set()}
        for tensor in self.inputs:
            for mark, size in zip(tensor.shape, feed[tensor.name].shape, strict=True):
                if isinstance(mark, str):
                    found[mark].add(size)
        for mark, sizes in found.items():
            if len(sizes) > 1:
                raise RequestError(f"the inputs differ in their {mark} dimension: {sorted(sizes)}")
        rows = found["batch"].pop() if found["batch"] else 1
        return rows, found["sequence"].pop() if found["sequence"] else None

    def _run(self, program: _Program, feed: Tensors, start: int, rows: int) -> Tensors:
        part = {}
        for tensor in self.inputs:
            values = feed[tensor.name]
            if tensor.batch_axis is not None:
                # Padding repeats the last row: a value the model is sure to take.
                index = np.minimum(np.arange(start, start + program.batch_size), start + rows - 1)
                values = np.take(values, index, axis=tensor.batch_axis)
            part[tensor.name] = values
        answer = program.session.run([tensor.name for tensor in self.outputs], part)
        return {
            tensor.name: values
            if tensor.batch_axis is None
            else np.take(values, np.arange(rows), axis=tensor.batch_axis)
            for tensor, values in zip(self.outputs, answer, strict=True)
        }

    def _join(self, tensor: _Tensor, answers: list[Tensors]) -> npt.NDArray[Any]:
        if len(answers) == 1:
            return answers[0][tensor.name]
        if tensor.batch_axis is None:
            raise RequestError(f"output {tensor.name!r} has no batch dimension: send one row at a time")
        return np.concatenate([answer[tensor.name] for answer in answers], axis=tensor.batch_axis)


def _tensor(entry: Mapping[str, Any]) -> _Tensor:
    return _Tensor(entry["name"], np.dtype(entry["dtype"]), tuple(entry["shape"]))


def _session(program: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # A thread that waits for its share in a loop takes half as much processor time again from whoever else is here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(program), options, providers=["CPUExecutionProvider"])


def _array(tensor: _Tensor, values: object) -> npt.NDArray[Any]:
    """The values as the input's dtype, refusing what would change them silently and what has the wrong shape."""
    wanted = f"input {tensor.name!r} takes {tensor.dtype} of shape {list(tensor.shape)}"
    try:
        given = np.asarray(values)
    except ValueError:
        raise RequestError(f"{wanted}; the rows given differ in length") from None
    if not given.size:
        raise RequestError(f"{wanted}; given no values")
    if given.dtype.kind not in _ACCEPTED[tensor.dtype.kind]:
        raise RequestError(f"{wanted}; given {_KIND_NAMES.get(given.dtype.kind, given.dtype.name)}")
    if tensor.dtype.kind in "iu":
        bounds = np.iinfo(tensor.dtype)
        if given.min() < bounds.min or given.max() > bounds.max:
            raise RequestError(f"{wanted}; a value is outside {bounds.min} to {bounds.max}")
    if given.ndim != len(tensor.shape) or any(
        isinstance(mark, int) and mark != size for mark, size in zip(tensor.shape, given.shape, strict=True)
    ):
        raise RequestError(f"{wanted}; given shape {list(given.shape)}")
    return given.astype(tensor.dtype)


_ACCEPTED = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
_KIND_NAMES = {"U": "text", "O": "mixed values", "f": "numbers with a fraction", "b": "booleans", "i": "integers"}


_NO_SUCH_PATH = {"error": "there are GET /ping and POST /invocations"}


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds an idle connection is kept
    disable_nagle_algorithm = True  # headers and body are two writes: together they would wait for an acknowledgement

    def do_GET(self) -> None:
        if self.path == "/ping":
            self._answer(200, {})
        else:
            self._answer(404, _NO_SUCH_PATH)

    def do_POST(self) -> None:
        with self.server.working():
            try:
                body = self._body()
                if self.path != "/invocations":
                    self._answer(404, _NO_SUCH_PATH)
                    return
                self._answer(200, self.server.model.predict(_parse(body)))
            except RequestError as error:
                self._answer(error.status, {"error": str(error)})
            except ConnectionError:
                self.close_connection = True  # the client has gone: there is nobody to answer
            except Exception as error:
                _say("error", error=f"{type(error).__name__}: {error}")
                self._answer(500, {"error": f"the model failed: {error}"})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            raise RequestError("Content-Length is missing: send the body in one piece")
        if int(length) > MOST_BYTES:
            self.close_connection = True
            raise TooLargeError(f"the body has {length} bytes; at most {MOST_BYTES} are taken")
        body = self.rfile.read(int(length))
        kind = self.headers.get_content_type()
        if kind != "application/json":
            raise MediaTypeError(f"Content-Type {kind} is not understood; send application/json")
        return body

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.server.draining:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Every /ping in the log would hide what matters there."""


def _parse(body: bytes) -> object:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


class Server(ThreadingHTTPServer):
    """One thread a connection; knows which requests are under way, so that it can stop without losing one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], model: Model) -> None:
        super().__init__(address, _Handler)
        self.model = model
        self.draining = False
        self._count = 0
        self._idle = threading.Condition()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class names it
        """One line for a connection that broke, instead of a stack trace."""
        _say("connection lost", client=client_address[0], error=repr(sys.exc_info()[1]))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a request as under way."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def drain(self, seconds: float) -> bool:
        """Wait until no request is under way; false when the time runs out first."""
        with self._idle:
            return self._idle.wait_for(lambda: self._count == 0, timeout=seconds)

    def _change(self, by: int) -> None:
        with self._idle:
            self._count += by
            self._idle.notify_all()


def _say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def main(environment: Mapping[str, str]) -> int:
    """Load, listen, serve until SIGTERM."""
    host = environment.get("SERVE_BIND_HOST", "0.0.0.0")  # noqa: S104 - SageMaker's router comes from outside the container
    port = int(environment.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    try:
        model = Model(Path(environment.get("SERVE_MODEL_DIR", "/opt/ml/model")))
        server = Server((host, port), model)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1

    def stop(_signal: int, _frame: object) -> None:
        server.draining = True
        # shutdown() waits for serve_forever(), which this very thread is inside.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    _say("listening", host=host, port=server.server_address[1], artifact_key=model.key)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    drained = server.drain(_DRAIN_SECONDS)
    _say("stopped", drained=drained)
    return 0 if drained else 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
