"""The Hugging Face hub's HTTP API, as far as a repository at one commit is read from it.

Source: the hub's own library, huggingface_hub 1.x (``hf_api.py``: ``list_repo_tree``, ``model_info``;
``utils/_pagination.py``; ``file_download.py``; ``utils/_http.py``):

- ``GET /api/models/{repository}/tree/{revision}?recursive=true``: a JSON list, the next page in the header ``Link``. A
  file is ``{"type": "file", "path", "size", "oid"}``; ``oid`` is git's: the sha1 over ``"blob <size>\\0"`` and the
  content. A large file has ``"lfs": {"oid": <sha256 of the content>, "size"}`` too, and ``oid`` is its pointer's.
- ``GET /api/models/{repository}/revision/{revision}``: ``sha``, ``cardData.license``.
- ``GET /{repository}/resolve/{revision}/{path}``: the content, for large files by a redirect to another host, which
  takes ``Range``. ``X-Repo-Commit`` is the commit.
- Refusals carry ``X-Error-Code``: ``GatedRepo``, ``RepoNotFound``, ``RevisionNotFound``, ``EntryNotFound``. A
  repository that is not there, is private or gated answers 401 to whoever is not known.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from .errors import JobError
from .names import why_not

T = TypeVar("T")

_ATTEMPTS = 6
_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20
_MOST_ANSWER_BYTES = 64 << 20
_MOST_PAGES = 1000
_LONGEST_WAIT = 60.0
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository: ``algorithm`` is ``sha256`` or ``git`` (a blob's sha1), ``digest`` hexadecimal."""

    path: str
    size: int
    algorithm: str
    digest: str


class _RetryError(Exception):
    """An answer that another try may better. ``seconds``: what the server asks to wait, if it does."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        self.seconds = seconds
        super().__init__(reason)


class Hub:
    """One hub.

    :param address: ``https://host``; http is taken for this machine alone.
    :param token: sent to this address and never to where it redirects, if that is another.
    """

    def __init__(self, address: str, *, token: str = "", wait: Callable[[float], None] = time.sleep) -> None:
        self.address = address.rstrip("/")
        _check_address(self.address)
        self._token = token
        self._wait = wait
        self._opener = urllib.request.build_opener(_Redirects(self.address, token))

    def license(self, repository: str, revision: str) -> str:
        """The licence that the model's card names, or nothing.

        :raises JobError: also when the hub does not have this commit.
        """
        content, _ = self._json(f"{self.address}/api/models/{_quote(repository)}/revision/{revision}", repository)
        found = content if isinstance(content, dict) else {}
        if found.get("sha") != revision:
            shown = str(found.get("sha"))[:40]
            raise JobError(f"the hub has no commit {revision} of {repository}: it answered with {shown!r}")
        card = found.get("cardData")
        license = card.get("license") if isinstance(card, dict) else ""
        return license[:200] if isinstance(license, str) else ", ".join(map(str, license or ()))[:200]

    def files(self, repository: str, revision: str) -> list[RemoteFile]:
        """Every file of a repository at a commit.

        :raises JobError: when one has a path that would lead out of a folder.
        """
        url: str | None = f"{self.address}/api/models/{_quote(repository)}/tree/{revision}?recursive=true"
        entries: list[Any] = []
        for _ in range(_MOST_PAGES):
            content, url = self._json(url or "", repository)
            if not isinstance(content, list):
                raise JobError("the hub's answer is no list of files")
            entries += content
            if not url:
                break
        else:
            raise JobError(f"the hub's list of files has more than {_MOST_PAGES} pages")
        try:
            return [_file(entry) for entry in entries if entry["type"] == "file"]
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(f"the hub's list of files cannot be read: {error!r}") from error

    def download(self, repository: str, revision: str, file: RemoteFile, folder: Path) -> None:
        """Fetch one file below ``folder``; what a broken connection left is continued, and everything is checked.

        :raises JobError: when it cannot be had, or is not what the commit says.
        """
        url = f"{self.address}/{_quote(repository)}/resolve/{revision}/{_quote(file.path)}"
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name[:200]}.partial")
        self._again(file.path, lambda: self._fetch(url, repository, revision, file, partial))
        os.replace(partial, target)

    # -- one request -------------------------------------------------------------------------------------------------

    def _fetch(self, url: str, repository: str, revision: str, file: RemoteFile, partial: Path) -> None:
        have = partial.stat().st_size if partial.exists() else 0
        if have < file.size or have == 0:
            headers = {"Range": f"bytes={have}-"} if have else {}
            with self._open(url, repository, headers) as answer:
                commit = answer.headers.get("X-Repo-Commit")
                if commit not in (None, revision):
                    raise JobError(f"the hub gave {file.path} of another commit than {revision}")
                continued = answer.status == 206 and _starts_at(answer.headers.get("Content-Range"), have)
                with partial.open("ab" if have and continued else "wb") as writing:
                    _copy(answer, writing, file)
        size = partial.stat().st_size
        if size < file.size:
            raise _RetryError(f"the connection ended after {size:,} of {file.size:,} bytes")
        if digest(partial, file.algorithm, size) != file.digest:
            partial.unlink()
            raise _RetryError(f"its content does not have the digest that the commit gives it ({file.algorithm})")

    def _json(self, url: str, repository: str) -> tuple[Any, str | None]:
        """An answer, and the address of the page after it."""

        def ask() -> tuple[Any, str | None]:
            with self._open(url, repository, {}) as answer:
                content = answer.read(_MOST_ANSWER_BYTES + 1)
                if len(content) > _MOST_ANSWER_BYTES:
                    raise JobError("the hub's answer is too long")
                try:
                    return json.loads(content), self._next(answer.headers.get("Link") or "")
                except ValueError:
                    raise JobError(f"the hub's answer is no JSON: {content[:80]!r}") from None

        return self._again("the hub", ask)

    def _open(self, url: str, repository: str, headers: dict[str, str]) -> Any:
        _check_address(url)
        request = urllib.request.Request(url, headers={"User-Agent": "neuron-cdk", **headers})  # noqa: S310 (checked)
        if self._token:
            # Python keeps ordinary headers on a redirect, to whatever host it leads.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            return self._opener.open(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 429 or error.code >= 500:
                    asked = error.headers.get("Retry-After") or ""
                    seconds = float(asked) if asked.isdigit() else None
                    raise _RetryError(f"the hub answered {error.code}", seconds) from None
                raise JobError(self._refusal(error, repository)) from None

    def _refusal(self, error: urllib.error.HTTPError, repository: str) -> str:
        code = error.headers.get("X-Error-Code") or ""
        if code == "GatedRepo":
            do = "its account must be given access on the hub" if self._token else "give token, a secret with one"
            return f"{repository} is gated, and the hub does not let {'this token' if self._token else 'us'} in: {do}"
        if code == "RevisionNotFound":
            return f"the hub has no such commit of {repository}: copy it from the repository's history"
        if error.code in (401, 403):
            if self._token:
                return f"the hub refuses the token for {repository} ({error.code}): it ended, or may not read this"
            return f"{repository} is private, gated or not there ({error.code}): correct its name, or give token"
        if error.code == 404:
            return f"the hub has no {repository} with that commit or file ({code or 404})"
        return f"the hub answered {error.code} {code}".strip()

    def _next(self, link: str) -> str | None:
        found = re.search(r'<([^<>]+)>\s*;[^,]*rel="?next"?', link)
        if not found:
            return None
        url: str = urllib.parse.urljoin(self.address + "/", found.group(1))
        if _origin(url) != _origin(self.address):
            raise JobError(f"the hub's list goes on at another host, {urllib.parse.urlsplit(url).hostname}")
        return url

    def _again(self, what: str, run: Callable[[], T]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return run()
            except (_RetryError, OSError, http.client.HTTPException) as error:
                # A refused address is a URLError around nothing that time would mend, but a few seconds do no harm.
                reason = str(error) if isinstance(error, _RetryError) else f"{type(error).__name__}: {error}"
                if attempt == _ATTEMPTS:
                    raise JobError(f"{what} could not be had after {_ATTEMPTS} tries: {reason}") from None
                asked = error.seconds if isinstance(error, _RetryError) else None
                seconds = min(_LONGEST_WAIT, 2.0**attempt if asked is None else asked)
                print(f"{what}: {reason}; again in {seconds:.0f} s", flush=True)
                self._wait(seconds)
        raise AssertionError


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects over TLS only, with the token for the hub itself alone."""

    def __init__(self, address: str, token: str) -> None:
        self._origin, self._token = _origin(address), token

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and self._token and _origin(newurl) == self._origin:
            new.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return new


def digest(file: Path, algorithm: str, size: int) -> str:
    """The digest of a file as the hub gives it: ``sha256``, or ``git``, which is a blob's sha1."""
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # git's name for it, not our choice
    state = hashlib.sha256() if algorithm == "sha256" else blob
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def _copy(answer: Any, writing: IO[bytes], file: RemoteFile) -> None:
    while chunk := answer.read(_CHUNK):
        if writing.tell() + len(chunk) > file.size:
            raise JobError(f"{file.path} is longer than the {file.size:,} bytes that the hub lists")
        writing.write(chunk)


def _file(entry: dict[str, Any]) -> RemoteFile:
    path, lfs = entry["path"], entry.get("lfs")
    if reason := why_not(path):
        raise JobError(f"the repository is refused: {path[:200]!r} {reason}")
    algorithm, digest_, size = ("sha256", lfs["oid"], lfs["size"]) if lfs else ("git", entry["oid"], entry["size"])
    digits = 64 if lfs else 40
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", digest_) or not isinstance(size, int) or size < 0:
        raise ValueError(f"{path}: {digest_!r}, {size!r}")
    return RemoteFile(path, size, algorithm, digest_)


def _starts_at(content_range: str | None, start: int) -> bool:
    return bool(re.match(rf"bytes {start}-", content_range or ""))


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in _HERE:
        return
    raise JobError(f"the hub is reached over https only, not at {parts.scheme}://{parts.hostname}")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _quote(path: str) -> str:
    return urllib.parse.quote(path, safe="/")
