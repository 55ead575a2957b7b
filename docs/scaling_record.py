"""What is kept of a run of two endpoints that scale (``scaling_run``), minute by minute of the embedded AWS's clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Activity:
    """What Application Auto Scaling did: in which minute, by which policy, and the count that it set."""

    minute: int
    policy: str
    wanted: int


@dataclass(frozen=True)
class Serving:
    """The endpoint under load; ``concurrent`` is the most requests at a time that an instance had.

    It may be None: no datapoint. ``target`` is what the policy holds it at.
    """

    target: float
    asked: Sequence[int]
    concurrent: Sequence[float | None]
    instances: Sequence[int]
    desired: Sequence[int]
    activities: Sequence[Activity]


@dataclass(frozen=True)
class Sleeping:
    """The endpoint that goes to zero; requests are counts of a minute."""

    answered: Sequence[int]
    refused: Sequence[int]
    copies: Sequence[int]
    instances: Sequence[int]
    activities: Sequence[Activity]


@dataclass(frozen=True)
class Record:
    """Both endpoints. Every sequence but the activities has ``minutes`` values, the last as each minute ended."""

    minutes: int
    serving: Serving
    sleeping: Sleeping

    def text(self) -> str:
        """As JSON, each curve and activity in a line."""
        lines = [f'  "minutes": {self.minutes}']
        for name, endpoint in (("serving", self.serving), ("sleeping", self.sleeping)):
            members = [f'    "{key}": {_listed(key, value)}' for key, value in asdict(endpoint).items()]
            lines.append(f'  "{name}": {{\n' + ",\n".join(members) + "\n  }")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def read(text: str) -> Record:
    """The record that ``Record.text`` gave."""
    found = json.loads(text)
    serving, sleeping = found["serving"], found["sleeping"]
    return Record(
        found["minutes"], Serving(**serving | _activities(serving)), Sleeping(**sleeping | _activities(sleeping))
    )


def _listed(key: str, value: Any) -> str:
    if key != "activities" or not value:
        return json.dumps(value)
    return "[\n" + ",\n".join(f"      {json.dumps(each)}" for each in value) + "\n    ]"


def _activities(endpoint: Mapping[str, Any]) -> dict[str, list[Activity]]:
    return {"activities": [Activity(**each) for each in endpoint["activities"]]}
