"""How the additions take hold of ministack: the version they were written for, and every name checked at start."""

from __future__ import annotations

from importlib.metadata import version
from types import ModuleType
from typing import Any

MINISTACK = "1.5.33"


class MismatchError(Exception):
    """This ministack is not the one the additions were written for."""


def check_version() -> None:
    if version("ministack") != MINISTACK:
        raise MismatchError(
            f"ministack {version('ministack')} is installed and the additions are written for {MINISTACK}"
        )


def original(module: ModuleType, name: str) -> Any:
    """The attribute ``name`` of ``module``, for use or for wrapping. Raises ``MismatchError`` when it is not there."""
    try:
        return getattr(module, name)
    except AttributeError:
        raise MismatchError(f"ministack's {module.__name__} has no {name}, which the additions need") from None


def replace(module: ModuleType, name: str, replacement: object) -> None:
    """Put ``replacement`` in the place of ``module.name``, which must be there."""
    original(module, name)
    setattr(module, name, replacement)
