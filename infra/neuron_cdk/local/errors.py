"""What goes wrong on this machine, in words for the person in front of it."""

from __future__ import annotations


class LocalError(Exception):
    """The embedded AWS cannot do what was asked; the message is one sentence for the user."""


class WrongFolderError(LocalError):
    """The folder that a command was given, or runs in, is not one that it can work in: exit status 2."""
