"""Whatever call of a fleet's release fails, is throttled, or is the last before the function dies: called again it ends
where it would have.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.hooks.fleet_aws import error
from tests.hooks.release_fleet_world import NEW_KEY, KilledError
from tests.hooks.test_release_fleet import Fleet

pytestmark = pytest.mark.disturbs("release.step")

Load = Callable[[str], ModuleType]
FAULTS = {
    "refused": ("before", error("InternalFailure", "any")),
    "throttled": ("before", error("Throttling", "any", "Rate exceeded")),
    "killed": ("after", KilledError()),
}


@pytest.fixture
def fleet(load: Load, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(load, monkeypatch)


class Machine:
    """What the release machine does with a kind: a step that fails is called again; between two looks time passes."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.last_good = fleet.released()

    def run(self, release: Any) -> str:
        facts = self._step(lambda: self.fleet.kind.apply(release, self.last_good))
        fields = {name: getattr(release, name) for name in release.__dataclass_fields__}
        release = self.fleet.frame.Release(**{**fields, "facts": dict(facts)})
        if self._until(lambda: self.fleet.kind.progress(release)) == "done" and not self._step(
            lambda: self.fleet.kind.verify(release, 800)
        ):
            served = self.fleet.released(NEW_KEY, version=release.facts["versions"]["lt-0123456789abcdef0"])
            self._step(lambda: self.fleet.kind.tidy([served, self.last_good]))
            return "released"
        ended = self._until(lambda: self.fleet.kind.take_back(release, self.last_good))
        self._step(lambda: self.fleet.kind.tidy([self.last_good]))
        return f"taken back: {ended}"

    def _until(self, look: Callable[[], Any]) -> str:
        for _ in range(20):
            progress = self._step(look)
            if progress.kind != "moving":
                return str(progress.kind)
            self.fleet.world.pass_time()
        return "never"

    def _step(self, work: Callable[[], Any]) -> Any:
        for _ in range(6):
            try:
                return work()
            except self.fleet.frame.NotYetError:
                self.fleet.world.pass_time()
            except (ClientError, KilledError):
                continue
        raise AssertionError("the step never ends")


def _good(_fleet: Fleet) -> None:
    """A release that comes up."""


def _bad(fleet: Fleet) -> None:
    """One that does not."""
    fleet.world.bad = {"2"}


def _busy(fleet: Fleet) -> None:
    """One that finds a refresh under way."""
    fleet.world.groups["serve-spot"].refreshes = [
        {"InstanceRefreshId": "old", "Status": "InProgress", "StatusReason": ""}
    ]


SCENES = {"good": _good, "bad": _bad, "busy": _busy}


def _ended(load: Load, monkeypatch: pytest.MonkeyPatch, scene: str, fault: Any) -> tuple[Any, int]:
    fleet = Fleet(load, monkeypatch)
    SCENES[scene](fleet)
    fleet.world.fault = fault
    outcome = Machine(fleet).run(fleet.release())
    return (outcome, fleet.world.end()), len(fleet.world.calls)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_call_may_fail(load: Load, monkeypatch: pytest.MonkeyPatch, scene: str, fault: str, tell: Any) -> None:
    undisturbed, count = _ended(load, monkeypatch, scene, None)
    tell(f"fleet, {scene}", count, fault)
    when, raised = FAULTS[fault]
    for number in range(count):
        ended, _ = _ended(load, monkeypatch, scene, (number, when, raised))
        assert ended == undisturbed, f"call {number} {fault}"


@pytest.mark.parametrize(
    ("scene", "outcome"), [("good", "released"), ("bad", "taken back: done"), ("busy", "released")]
)
def test_undisturbed(load: Load, monkeypatch: pytest.MonkeyPatch, scene: str, outcome: str) -> None:
    ended, count = _ended(load, monkeypatch, scene, None)
    assert ended[0] == outcome
    assert count > 10


@pytest.mark.parametrize("scene", SCENES)
def test_each_step_may_be_called_twice(load: Load, monkeypatch: pytest.MonkeyPatch, scene: str, tell: Any) -> None:
    undisturbed, count = _ended(load, monkeypatch, scene, None)
    tell(f"fleet, {scene}", count, "called twice")
    fleet = Fleet(load, monkeypatch)
    SCENES[scene](fleet)
    machine = Machine(fleet)
    once = machine._step
    monkeypatch.setattr(machine, "_step", lambda work: (once(work), once(work))[1])
    outcome = machine.run(fleet.release())
    assert (outcome, fleet.world.end()) == undisturbed
