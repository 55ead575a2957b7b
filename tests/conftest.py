"""For every test: a Ctrl-C that is sent to a command reaches it."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background has them, and all they start, ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
