"""``python -m neuron_cdk.local.server``: put the server in the background, then serve until SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from ..locking import hold_for_life


def main() -> None:
    parser = argparse.ArgumentParser(description="The embedded AWS; started by neuron_cdk.local.EmbeddedAws.")
    parser.add_argument("--folder", type=Path, required=True, help="where its state lies")
    parser.add_argument("--listen", type=int, required=True, help="the inherited listening socket")
    parser.add_argument("--port", type=int, required=True, help="the port of that socket")
    arguments = parser.parse_args()
    try:
        hold_for_life(arguments.folder / "server.lock")
    except BlockingIOError:
        sys.exit("another embedded AWS has this state folder")
    _background(arguments.folder / "server.json", arguments.port)
    os.set_inheritable(arguments.listen, False)

    from .serving import serve  # after the fork: it starts threads

    serve(arguments.folder, arguments.listen, arguments.port)


def _background(notice: Path, port: int) -> None:
    """Fork; the parent writes down who serves and ends, so that whoever started it waits for nothing longer."""
    child = os.fork()
    if child:
        notice.write_text(json.dumps({"pid": child, "port": port}))
        os._exit(0)


main()
