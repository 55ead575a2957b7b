"""What each role used of what it was granted, statement by statement, since the state was begun.

A role is known by the stack and the logical id that made it; what a deleted one was granted is remembered. It is part
of the saved state: an update or a death of the server makes nothing unused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .policies import Decision, Statement


@dataclass
class _Role:
    """One role: ``granted`` and ``used`` are actions with the resources they stand with: ``s3:GetObject on arn:…``."""

    stack: str = ""
    logical_id: str = ""
    granted: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


_lock = threading.Lock()
_roles: dict[str, _Role] = {}


def made(role: str, stack: str, logical_id: str) -> None:
    """CloudFormation has made the role."""
    with _lock:
        found = _roles.setdefault(role, _Role())
        found.stack, found.logical_id = stack, logical_id


def granted(role: str, statements: Sequence[Statement]) -> None:
    """These are the role's policies from now on; what older ones granted stays on the list."""
    with _lock:
        _roles.setdefault(role, _Role()).granted.update(_grants(statements))


def used(role: str, action: str, decision: Decision) -> None:
    statement = decision.by
    if statement is None or decision.kind != "identity-based":
        return
    with _lock:
        _roles.setdefault(role, _Role()).used.add(f"{statement.action(action)} on {_on(statement)}")


def refused(role: str, message: str) -> None:
    with _lock:
        _roles.setdefault(role, _Role()).refused.add(message)


def listed() -> list[dict[str, Any]]:
    """Every role of a template, with ``used``, ``unused`` and ``refused``; grants are ``action on resources``."""
    with _lock:
        return [
            {
                "role": name,
                "stack": role.stack,
                "logical_id": role.logical_id,
                "used": sorted(role.used),
                "unused": sorted(role.granted - role.used),
                "refused": sorted(role.refused),
            }
            for name, role in sorted(_roles.items())
        ]


def write(folder: Path, name: str, roles: Sequence[dict[str, Any]]) -> None:
    """Leave a list in ``folder``, for whoever reads those of several servers together."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(roles, indent=1))


def get_state() -> dict[str, Any]:
    with _lock:
        return {name: asdict(role) for name, role in _roles.items()}


def load_persisted_state(saved: dict[str, Any]) -> None:
    _roles.update({name: _Role(**role) for name, role in saved.items()})


def _grants(statements: Sequence[Statement]) -> Iterator[str]:
    for one in statements:
        if one.effect == "Allow":
            for action in one.actions:
                yield f"{action} on {_on(one)}"


def _on(statement: Statement) -> str:
    return ", ".join(statement.resources)
