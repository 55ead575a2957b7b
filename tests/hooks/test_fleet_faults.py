"""Whatever call of a fleet's controller, or of what tells its version, is throttled or the last before the function
dies, and whatever is delivered twice: it ends where it would have.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.hooks import controlled_fleet, release_fleet_world
from tests.hooks.controlled_fleet import spot_is_short
from tests.hooks.disturbed import FAULTS, KilledError
from tests.hooks.fleet_aws import FakeAws, error
from tests.hooks.test_fleet_deployments import REFRESH, ended
from tests.hooks.test_fleet_version import Asked

Load = Callable[[str], ModuleType]
DELIVERIES = 3  # of an event that Lambda delivers until the function ends well


class Fleet(controlled_fleet.Fleet):
    """A controller, one of whose calls goes wrong: ``fault``, at the call whose number is ``at``."""

    def __init__(self, *world: Any, fault: str = "", at: int = -1) -> None:
        super().__init__(*world)
        self.calls: list[str] = []
        self._fault, self._at = fault, at

    def start(self, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        super().start(monkeypatch, **more)
        make = self.module.aws.client
        monkeypatch.setattr(self.module.aws, "client", lambda service: _Client(self, make(service)))
        monkeypatch.setattr(time, "sleep", lambda _: None)

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        if self._fault == "called twice":
            super().send(event)
        for _ in range(DELIVERIES):
            try:
                return super().send(event)
            except (ClientError, KilledError):
                continue
        raise AssertionError("it never ends well")

    def called(self, operation: str, call: Callable[..., Any], request: dict[str, Any]) -> Any:
        number = len(self.calls)
        self.calls.append(operation)
        if number == self._at and self._fault == "throttled":
            raise error("ThrottlingException", operation, "Rate exceeded")
        answer = call(**request)
        if number == self._at and self._fault == "killed":
            raise KilledError
        return answer

    def end(self) -> dict[str, Any]:
        """What is left, without how often it was written; events are sent once at least, and a first answer counts."""
        return {
            "sizes": self.sizes(),
            "state": self.state,
            "started": [group for group, _ in self.aws.started],
            "cancelled": sorted(set(self.aws.cancelled)),
            "events": {(kind, json.dumps(detail, sort_keys=True)) for kind, detail in self.sent()},
            "answers": {one["RequestId"]: one for one in reversed(self.answers)},
        }


class _Client:
    def __init__(self, fleet: Fleet, client: Any) -> None:
        self._fleet, self._client = fleet, client

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self._client, operation)
        return lambda **request: self._fleet.called(operation, call, request)


def first(fleet: Fleet) -> None:
    fleet.tick()


def moves(fleet: Fleet) -> None:
    spot_is_short(fleet)
    fleet.tick()


def resized(fleet: Fleet) -> None:
    fleet.tick()
    fleet.send({"action": "target", "target": 5})
    fleet.tick()


def created(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.tick()


def refreshed(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.aws.groups["g-spot"].run(2)
    fleet.stack("Update", request="r-2", old="1", new="2")
    fleet.tick()
    ended(fleet, "Successful")
    fleet.tick()


def deleted(fleet: Fleet) -> None:
    fleet.stack("Create")
    fleet.stack("Delete", request="r-9")
    fleet.tick()


SCENES = (first, moves, resized, created, refreshed, deleted)


class Runs:
    """A scene again and again, each time in a world that is made anew."""

    def __init__(self, load: Load, aws: Any, inbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self._load, self._aws, self._inbox, self._capsys = load, aws, inbox, capsys

    def __call__(self, scene: Callable[[Fleet], None], fault: str = "", at: int = -1) -> Fleet:
        self._inbox.answers.clear()
        self._aws.dynamodb.delete_item(TableName="registry", Key={"artifact_key": {"S": "fleet#test/Fleet"}})
        world = (self._load, FakeAws("g-spot", "g-od"), self._aws, self._inbox, self._capsys)
        fleet = Fleet(*world, fault=fault, at=at)
        with pytest.MonkeyPatch.context() as monkeypatch:
            fleet.start(monkeypatch, refresh=REFRESH)
            scene(fleet)
        return fleet


@pytest.fixture
def run(load: Load, aws: Any, inbox: Any, capsys: pytest.CaptureFixture[str]) -> Runs:
    return Runs(load, aws, inbox, capsys)


@pytest.mark.disturbs("fleet.controller")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scene", SCENES)
def test_a_controller_ends_where_it_would_have(
    run: Runs, scene: Callable[[Fleet], None], fault: str, tell: Any
) -> None:
    undisturbed = run(scene)
    calls, expected = undisturbed.calls, undisturbed.end()
    tell(scene.__name__, len(calls), fault)
    for number in [-1] if fault == "called twice" else range(len(calls)):
        assert run(scene, fault, number).end() == expected, f"{fault} at call {number}, {calls[number]}"


def test_the_scenes_reach_what_a_controller_does(run: Runs) -> None:
    calls = {call for scene in SCENES for call in run(scene).calls}
    assert {"set_desired_capacity", "update_item", "put_events", "start_instance_refresh"} <= calls


# -- Which version a fleet is to name --------------------------------------------------------------------------------


@contextmanager
def version_asked(load: Load, keep: bool, fault: str = "", at: int = -1) -> Iterator[Asked]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        asked = Asked(load, monkeypatch)
        asked.put(current=2)
        if fault == "throttled":
            asked.world.fault = (at, "before", error("Throttling", "any", "Rate exceeded"))
        elif fault == "killed":
            asked.world.fault = (at, "after", release_fleet_world.KilledError())
        for _ in range(2 if fault == "called twice" else 1):
            try:
                asked.ask(keep=keep)
            except release_fleet_world.KilledError:
                asked.ask(keep=keep)
        yield asked


@pytest.mark.disturbs("release.fleet_version")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("keep", [False, True], ids=["asked", "kept"])
def test_a_fleets_version_is_what_it_would_have_been(load: Load, keep: bool, fault: str, tell: Any) -> None:
    with version_asked(load, keep) as asked:
        calls, expected = len(asked.world.calls), (asked.world.end(), asked.bodies[0])
    tell("keep the version" if keep else "tell the version", calls, fault)
    for number in [-1] if fault == "called twice" else range(calls):
        with version_asked(load, keep, fault, number) as asked:
            assert (asked.world.end(), asked.bodies[0]) == expected, f"{fault} at call {number}"
