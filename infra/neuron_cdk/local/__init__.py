"""The embedded AWS: ministack in an environment of its own, with the services it lacks, for development and tests.

``EmbeddedAws`` starts and stops it; everything under ``server`` runs inside it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import LocalError
    from .supervisor import EmbeddedAws, Status

__all__ = ["EmbeddedAws", "LocalError", "Status"]

_HOME = {"EmbeddedAws": "supervisor", "LocalError": "errors", "Status": "supervisor"}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
