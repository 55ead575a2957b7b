"""A hub of one small repository, which answers as Hugging Face's does, and misbehaves when it is told to."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = "tests/tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"
_LARGE = (".safetensors", ".onnx", ".bin")
_PAGE = 3


def blob(content: bytes) -> str:
    """The name that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class SmallHub:
    """``files``: path to content. Large ones (by suffix) come by a redirect to ``elsewhere``, another host.

    ``token``: who does not send it is told that the repository is gated. ``cut``: paths that break off halfway, once.
    ``busy``: so many requests are answered 503. ``spoil``: paths whose content is another than the listing says.
    """

    def __init__(self, files: dict[str, bytes], *, token: str = "", license: str = "apache-2.0") -> None:
        self.files = dict(files)
        self.token, self.license = token, license
        self.cut: set[str] = set()
        self.spoil: set[str] = set()
        self.busy = 0
        self.listed: list[dict[str, Any]] | None = None
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self.address, self.elsewhere = (f"http://127.0.0.1:{one.server_port}" for one in self._servers)

    @contextmanager
    def running(self) -> Iterator[SmallHub]:
        threads = [threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True) for one in self._servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server in self._servers:
                server.shutdown()
                server.server_close()

    def paths(self, where: str | None = None) -> list[str]:
        """What was asked for, of both hosts or of one."""
        return [path for host, path, _ in self.requests if where in (None, host)]

    def answer(self, to: Any) -> None:
        host = f"http://{to.headers['Host']}"
        self.requests.append((host, to.path, dict(to.headers)))
        parts = urlsplit(to.path)
        if self.busy:
            self.busy -= 1
            return self._send(to, 503, b"busy", {"Retry-After": "0"})
        if host == self.elsewhere:
            return self._content(to, unquote(parts.path).removeprefix("/cdn/"))
        if self.token and to.headers.get("Authorization") != f"Bearer {self.token}":
            return self._send(to, 401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        if parts.path == f"/api/models/{REPOSITORY}/revision/{REVISION}":
            return self._json(to, {"id": REPOSITORY, "sha": REVISION, "cardData": {"license": self.license}})
        if parts.path == f"/api/models/{REPOSITORY}/tree/{REVISION}":
            return self._page(to, int(parse_qs(parts.query).get("cursor", ["0"])[0]))
        prefix = f"/{REPOSITORY}/resolve/{REVISION}/"
        path = unquote(parts.path).removeprefix(prefix)
        if parts.path.startswith(prefix) and path in self.files:
            if path.endswith(_LARGE):
                return self._send(to, 302, b"", {"Location": f"{self.elsewhere}/cdn/{path}", "X-Repo-Commit": REVISION})
            return self._content(to, path)
        if "/models/" in parts.path and REPOSITORY in parts.path:
            return self._send(to, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        return self._send(to, 401, b"", {"X-Error-Code": "RepoNotFound"})

    def listing(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "onnx", "size": 0, "oid": "0" * 40}]
        for path, content in self.files.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob(content)}
            if path.endswith(_LARGE):
                digest = hashlib.sha256(content).hexdigest()
                entry |= {"oid": "f" * 40, "lfs": {"oid": digest, "size": len(content), "pointerSize": 134}}
            entries.append(entry)
        return entries

    def _page(self, to: Any, start: int) -> None:
        entries = self.listing() if self.listed is None else self.listed
        more = {}
        if start + _PAGE < len(entries):
            here = f"{self.address}/api/models/{REPOSITORY}/tree/{REVISION}?recursive=true&cursor={start + _PAGE}"
            more = {"Link": f'<{here}>; rel="next"'}
        self._json(to, entries[start : start + _PAGE], more)

    def _content(self, to: Any, path: str) -> None:
        content = self.files[path]
        if path in self.spoil:
            content = bytes(len(content))
        start = int((to.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        whole = len(content)
        headers = {"Content-Range": f"bytes {start}-{whole - 1}/{whole}"} if start else {}
        if path in self.cut:
            self.cut.remove(path)
            to.send_response(200)
            to.send_header("Content-Length", str(whole))
            to.end_headers()
            to.wfile.write(content[: whole // 2])
            to.close_connection = True
            return
        self._send(to, 206 if start else 200, content[start:], headers)

    def _json(self, to: Any, document: object, headers: dict[str, str] | None = None) -> None:
        self._send(to, 200, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, to: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
        to.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)
