"""What the load balancer asks: ``GET /ping`` on the port above the server's, 200 only while requests are welcome.

The server's own /ping cannot tell that the model has not been warmed, nor that the instance is about to go. 503 comes
before the end, so that no request is sent to a server that will not answer it.

It also starts the server again when it stays silent: the entry point of AWS's Neuron containers outlives the server
inside (``neuron-entrypoint.py`` ends in ``tail -f /dev/null``), so that systemd sees a healthy container.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import server
from .instance import PAUSE_S, RUN, say

SILENT = 12  # pings in a row without an answer: a minute
LOADING = 360  # the same for a server that has not answered since it was started again: half an hour


def state() -> str:
    """``serving``, or why not."""
    if (RUN / "draining").exists():
        return "draining"
    if not (RUN / "ready").exists():
        return "starting"
    return "serving" if server.answers() else "the server does not answer"


class Handler(BaseHTTPRequestHandler):
    """GET /ping."""

    timeout = 10

    def do_GET(self) -> None:
        """200 or 503, and the state."""
        now = state()
        content = json.dumps({"state": now}).encode()
        self.send_response(404 if self.path != "/ping" else 200 if now == "serving" else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the journal is for what changes."""


def watch() -> None:
    """Restart a server that was warm and has gone silent."""
    silent, patience = 0, SILENT
    while True:
        time.sleep(PAUSE_S)
        now = state()
        if now == "serving":
            patience = SILENT
        silent = silent + 1 if now == "the server does not answer" else 0
        if silent >= patience:
            say("health: the server is silent: restarted")
            subprocess.run(["systemctl", "restart", "neuron-server.service"], check=False)
            silent, patience = 0, LOADING


def main() -> None:
    """Answer until stopped."""
    threading.Thread(target=watch, daemon=True).start()
    address = ("0.0.0.0", int(os.environ["PORT"]) + 1)  # noqa: S104 - the load balancer asks from outside
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
