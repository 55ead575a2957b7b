"""The saved state: one file that is replaced whole, and the large contents it refers to by their hash.

A reader finds the old file or the new one, never parts of both, at whatever moment the server dies. Contents are
written before the file that needs them and removed after it no longer does. A file that does not match its own
checksum (a power failure), or that another version wrote, is as good as none: the server starts clean.

Executions that have ended are such contents, too: their histories are most of the state, and a save that wrote all of
them again kept the event loop from everything else.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

from ministack import app
from ministack.core import persistence
from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict
from ministack.services import cloudformation, cloudwatch_logs, lambda_svc, s3, stepfunctions

from . import application_autoscaling, clock, patching
from .autoscaling import saved as autoscaling
from .cloudwatch import service as cloudwatch
from .iam import accounting
from .sagemaker import store

logger = logging.getLogger("neuron_cdk.local")

_encode_scoped = patching.original(persistence, "_json_default")
_decode_scoped = patching.original(persistence, "_json_object_hook")
_services = patching.original(app, "_build_persistence_save_dict")
_modules = patching.original(app, "_state_map")
_module = patching.original(app, "_get_module")

_FORMAT = 2
_INLINE = 1024
_ATTEMPTS = 50
_OURS: dict[str, Any] = {
    "sagemaker": store,
    "application-autoscaling": application_autoscaling,
    "autoscaling": autoscaling,
    "cloudwatch-metrics": cloudwatch,
    "clock": clock,
    "permissions": accounting,
}

_REST = 4
"""So many times the duration of a save pass until the next one."""

_folder: Path
_coming: asyncio.Future[None] | None = None
_rested_at = 0.0
_lock = threading.Lock()
_written: dict[int, tuple[Any, Any, str]] = {}
"""Contents of the last save by identity, as they were, with their hash: what has not changed is not hashed again."""

_NO_COPIES = SimpleNamespace(deepcopy=lambda value: value)


def configure(folder: Path) -> None:
    """Keep the state in ``folder``."""
    global _folder
    _folder = folder
    # While its state is read, ministack moves functions' code to files of its own; here it stays in the state.
    patching.replace(lambda_svc, "_externalize_code_zip", lambda *_: None)
    patching.replace(lambda_svc, "_prune_orphan_code_blobs", lambda *_: None)


def save() -> None:
    """Write down everything as it is now. From any thread; returns when it is on disk.

    A failure is logged and the last state stays: what is being saved has happened all the same.
    """
    loop = patching.original(app, "_MAIN_LOOP")
    try:
        on_loop = asyncio.get_running_loop() is loop
    except RuntimeError:
        on_loop = False
    if on_loop or loop is None or not loop.is_running():
        _save()
    else:
        # Requests are handled on the loop: while it saves, none of them changes anything.
        with suppress(CancelledError):  # the server ends, and saves as it does
            asyncio.run_coroutine_threadsafe(_join(), loop).result()


async def _join() -> None:
    """The next save that begins; all who ask before it does have it in common."""
    global _coming
    if _coming is None:
        _coming = asyncio.ensure_future(_save_when_rested())
    await asyncio.shield(_coming)


async def _save_when_rested() -> None:
    """Save, and no sooner than several times as long after the last as that took: meanwhile nobody is answered."""
    global _coming, _rested_at
    await asyncio.sleep(max(_rested_at - time.monotonic(), 0))
    _coming = None
    began = time.monotonic()
    _save()
    ended = time.monotonic()
    _rested_at = ended + _REST * (ended - began)


def _save() -> None:
    try:
        with _lock:
            _write()
    except Exception:
        logger.exception("the state could not be saved")


def _write() -> None:
    contents = _Contents(_folder / "contents")
    # Auto Scaling works in a thread of its own, on its records and on EC2's: neither without the other.
    with autoscaling.at_rest():
        services = {name: _settled(read) for name, read in _services().items() if name not in _BY_US}
        services |= {name: _settled(module.get_state) for name, module in _OURS.items()}
        services |= {name: _settled(read) for name, read in _BY_US.items()}
    whole = {"format": _FORMAT, "ministack": patching.MINISTACK, "services": services}
    text = _settled(lambda: json.dumps(whole, default=contents.encode))
    digest = hashlib.sha256(text.encode()).hexdigest()
    coming = _folder / "state.json.coming"
    coming.write_text(f"{digest}\n{text}")
    os.replace(coming, _folder / "state.json")
    contents.forget_others()


def restore() -> None:
    """Load what was saved last, if it can be; otherwise start clean."""
    _folder.mkdir(parents=True, exist_ok=True)
    try:
        digest, _, text = (_folder / "state.json").read_text().partition("\n")
    except FileNotFoundError:
        return
    try:
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise ValueError("it does not match its checksum")
        whole = json.loads(text, object_hook=_decode)
        if (whole["format"], whole["ministack"]) != (_FORMAT, patching.MINISTACK):
            raise ValueError(f"ministack {whole['ministack']}, format {whole['format']} wrote it")
    except (ValueError, KeyError, OSError) as error:
        logger.error("the saved state cannot be used and is left aside (%s): starting clean", error)
        os.replace(_folder / "state.json", _folder / "state.json.unusable")
        return
    services = whole["services"]
    for name, stored in services.pop("s3").items():
        patching.original(s3, name)._data.update(stored._data)
    for name, module in _OURS.items():
        module.load_persisted_state(services.pop(name, {}))
    for name, saved in services.items():
        if saved:
            _module(_modules[name]).load_persisted_state(saved)


def _buckets() -> dict[str, Any]:
    """S3 whole: ministack's own state of it leaves the objects out."""
    kinds = (AccountScopedDict, AccountRegionScopedDict)
    return {name: value for name, value in vars(s3).items() if isinstance(value, kinds)}


def _as_it_is(read: Any) -> dict[str, Any]:
    """What one of ministack's ``get_state`` gives, less the copies it makes of it, which take longer than to write it.

    For those that only copy, of services that change on the event loop, or where half a change does no harm.
    """
    state: dict[str, Any] = FunctionType(read.__code__, {**read.__globals__, "copy": _NO_COPIES})()
    return state


def _machines() -> dict[str, Any]:
    """Step Functions. A history only grows, and what is in it stays as it is: a copy of the list is a copy of it."""
    state = _as_it_is(stepfunctions.get_state)
    executions = AccountRegionScopedDict()
    for key, execution in list(state["executions"]._data.items()):
        whole = {**execution, "events": [*execution["events"]]}
        executions._data[key] = whole if whole["status"] == "RUNNING" else _Ended(execution, whole)
    return {**state, "executions": executions}


_BY_US: dict[str, Callable[[], dict[str, Any]]] = {
    "s3": _buckets,
    "stepfunctions": _machines,
    "cloudformation": lambda: _as_it_is(cloudformation.get_state),
    "cloudwatch_logs": lambda: _as_it_is(cloudwatch_logs.get_state),
}
"""Services of ministack of which is saved what is there, and not what ministack makes of it."""


def _settled(read: Callable[[], Any]) -> Any:
    """``read()``, again when another thread (an execution, a job) changed a table under it."""
    for _ in range(_ATTEMPTS):
        try:
            return read()
        except RuntimeError as error:
            if "changed size" not in str(error) and "mutated" not in str(error):
                raise
    raise RuntimeError("the state does not hold still to be saved")


@dataclass(frozen=True, slots=True)
class _Ended:
    """An execution that nothing runs any more, ``whole`` as it was when the save began."""

    execution: dict[str, Any]
    whole: dict[str, Any]

    def now(self) -> dict[str, Any]:
        """What tells whether it has changed since another save: its end is told in several steps."""
        return {**self.whole, "events": len(self.whole["events"])}

    def text(self) -> bytes:
        return json.dumps(self.whole, default=_encode_scoped).encode()


class _Contents:
    """Large byte strings and executions that have ended, each in a file named after its hash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[int, tuple[Any, Any, str]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def encode(self, value: Any) -> Any:
        """What JSON cannot hold: the tables of ministack, bytes, sets and tuples used as keys."""
        if isinstance(value, bytes) and len(value) > _INLINE:
            return {"__content__": self._keep(value, value, lambda: value)}
        if isinstance(value, _Ended):
            return {"__ended__": self._keep(value.execution, value.now(), value.text)}
        if isinstance(value, set | frozenset):
            return {"__set__": sorted(value)}
        return _encode_scoped(value)

    def _keep(self, value: Any, now: Any, content: Callable[[], bytes]) -> str:
        """The hash of the ``content`` of ``value``, which is ``now`` like that, once it is in its file."""
        known = _written.get(id(value))
        if known and known[0] is value and known[1] == now and (self._folder / known[2]).exists():
            self._seen[id(value)] = known
            return known[2]
        data = content()
        digest = hashlib.sha256(data).hexdigest()
        self._seen[id(value)] = (value, now, digest)
        file = self._folder / digest
        if not file.exists():
            coming = file.with_suffix(".coming")
            coming.write_bytes(data)
            os.replace(coming, file)
        return digest

    def forget_others(self) -> None:
        """Remove the contents that the state written last does not need."""
        _written.clear()
        _written.update(self._seen)
        needed = {digest for _, _, digest in self._seen.values()}
        for file in self._folder.iterdir():
            if file.name not in needed:
                file.unlink()


def _decode(value: dict[str, Any]) -> Any:
    if "__content__" in value:
        return _content(value["__content__"])
    if "__ended__" in value:
        return json.loads(_content(value["__ended__"]), object_hook=_decode_scoped)
    if "__set__" in value:
        return set(value["__set__"])
    return _decode_scoped(value)


def _content(digest: str) -> bytes:
    content = (_folder / "contents" / digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"the content {digest} is damaged")
    return content
