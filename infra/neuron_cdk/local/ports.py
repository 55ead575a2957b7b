"""The loopback port of the embedded AWS: taken by the supervisor, handed to the server, so nobody slips between."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from .errors import LocalError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A listening socket on ``port`` of the loopback interface; 0 takes a free one.

    Raises ``LocalError``, with the port and where the system tells it the process, when the port is not to be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Otherwise a restart would wait for the last server's closed connections to time out.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise LocalError(
                f"port {port} is in use by {_holder(port) or 'another process'}: "
                "stop it, or choose another port with --port"
            ) from error
        raise LocalError(f"port {port} cannot be opened: {error.strerror}") from error
    return listener


def _holder(port: int) -> str | None:
    """The process that listens on ``port``, where /proc shows it."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in (line.split() for line in _read(Path(table)).splitlines()[1:])
        if fields[1].rpartition(":")[2] == f"{port:04X}" and fields[3] == "0A"  # 0A is LISTEN
    }
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        try:
            if any(os.readlink(link) in wanted for link in (process / "fd").iterdir()):
                return f"{_read(process / 'comm').strip()} (pid {process.name})"
        except OSError:  # another user's process, or one that has just ended
            continue
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
