"""For every test: a Ctrl-C that is sent to a command reaches it; what describes AWS's APIs is read once."""

from __future__ import annotations

import functools
import signal

import botocore.loaders

# What runs the tests of all folders, where several processes do, loads this file and no folder's own.
pytest_plugins = ["tests.local.permissions_report"]

# A shell that starts the tests in the background has them, and all they start, ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Each session of boto3 reads and parses the descriptions of its services again, 0.1 s a client; most tests make some.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)
