"""Inference components (filled in next)."""

from __future__ import annotations

from typing import Any

from ..api import ServiceError
from .traffic import Serving


def find(endpoint: str, name: str) -> Any:
    raise ServiceError("ValidationError", f"Inference Component {name} not found on endpoint {endpoint}.")


def of_endpoint(endpoint: str) -> list[Any]:
    return []


def refuse_deletion(endpoint: str, arn: str) -> None:
    return


def attach(serving: Serving) -> None:
    return


def detach(serving: Serving) -> None:
    return


def restart(endpoint: str) -> None:
    return
