"""A controller with its AWS and its events, for the tests of what it does with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.fleet_aws import FakeAws
from tests.hooks.fleet_world import NO_CAPACITY, moment

Load = Callable[[str], ModuleType]
NOW = 1_800_000_000
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/fleet/one"
BLOCK = "cr-0123456789abcdef0"


class Fleet:
    """A controller, its AWS, and its events. ``at`` is the time of the next one."""

    def __init__(self, load: Load, fake: FakeAws, table: Any, inbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self._load, self.aws, self._table, self._inbox, self._capsys = load, fake, table, inbox, capsys
        self.at = NOW

    def start(self, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        """Load the controller of this fleet."""
        document = {
            "name": "test/Fleet",
            "pools": [
                {"name": "spot", "kind": "spot", "group": "g-spot", "base": 0, "reservations": []},
                {"name": "on-demand", "kind": "on-demand", "group": "g-od", "base": 0, "reservations": []},
            ],
            "min": 0,
            "max": 8,
            "start": 2,
            "gang": False,
            "owns_size": True,
            "return_after_s": 900,
            "scaling": None,
            "refresh": None,
            **more,
        }
        monkeypatch.setenv("FLEET", json.dumps(document))
        sys.modules.pop("neuron_hooks.fleet.controller", None)
        self.module = self._load("fleet.controller")
        monkeypatch.setattr(self.module.time, "time", lambda: self.at)
        real = self.module.aws.client
        monkeypatch.setattr(
            self.module.aws, "client", lambda name: real(name) if name == "dynamodb" else self.aws.client(name)
        )

    def tick(self, after: int = 60) -> dict[str, Any]:
        self.at += after
        return self.event("Scheduled Event", {}, "aws.events")

    def event(self, kind: str, detail: dict[str, Any], source: str = "aws.ec2") -> dict[str, Any]:
        return self.send({"detail-type": kind, "source": source, "time": moment(self.at), "detail": detail})

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.module.handler(event, None)
        return answer

    def stack(self, kind: str, *, stack: str = STACK, request: str = "r-1", old: str = "", new: str = "1") -> None:
        event = {
            "RequestType": kind,
            "RequestId": request,
            "ResponseURL": self._inbox.url,
            "StackId": stack,
            "LogicalResourceId": "Controller",
            "ResourceProperties": {"ServiceToken": "arn", "Version": new},
        }
        if kind != "Create":
            event |= {"PhysicalResourceId": "fleet#test/Fleet"}
        if kind == "Update":
            event |= {"OldResourceProperties": {"Version": old}}
        self.send(event)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._table.item("fleet#test/Fleet")["document"])
        return state

    @property
    def answers(self) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = self._inbox.answers
        return answers

    def sizes(self) -> dict[str, int]:
        return {name: group.desired for name, group in self.aws.groups.items()}

    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one["DetailType"], json.loads(one["Detail"])) for one in self.aws.sent]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


def spot_is_short(fleet: Fleet) -> None:
    """Until the shortage is believed."""
    fleet.tick()
    fleet.aws.groups["g-spot"].fails(fleet.at, NO_CAPACITY)
    fleet.tick(30)
    fleet.tick(60)
