"""What a job or a server tells its user when it cannot go on."""

from __future__ import annotations


class JobError(Exception):
    """The input, not the program, is at fault. The message is one clear sentence or two; no stack trace is shown."""
