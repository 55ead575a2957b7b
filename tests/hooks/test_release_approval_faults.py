"""Releases that nobody approves, that are late for CloudFormation, or that another execution takes over: whatever call
fails, is throttled, or is the last before the function dies, they end where they would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.endpoint_world import TRACK, step, target
from tests.hooks.release_world import Releases, blueprint, key

pytestmark = pytest.mark.disturbs("release.step")

Load = Callable[[str], ModuleType]
Act = Callable[..., Any]
Answer = dict[str, Any]
SCALES = target("Main", TRACK, step("grow"))


class Machine(Releases):
    """The machine with its state ``Late``. ``meanwhile``: what happens while a person is asked."""

    def fresh(self) -> None:
        super().fresh()
        self.meanwhile: Callable[[], None] = lambda: None
        self._late: dict[str, Mapping[str, Any]] = {}

    def step(self, execution: str, asked: Mapping[str, Any], before: Mapping[str, Any]) -> Answer:
        if not self._is_late(execution, asked, before):
            return super().step(execution, asked, before)
        self.steps.append("late")
        return self._persistently({"step": "late", "execution": execution, "input": dict(asked)})

    def _is_late(self, execution: str, asked: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
        """Once in an execution, before whatever comes next."""
        due = "request" in asked and before["next"] != "finish" and self.aws.now > asked["deadline"]
        return due and self._late.setdefault(execution, before) is before

    def _ask(self, event: dict[str, Any]) -> dict[str, str] | None:
        error = super()._ask(event)
        self.meanwhile()
        return error


@pytest.fixture
def stack(load: Load, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(load, monkeypatch)


def deployed(stack: Machine) -> None:
    stack.run("request-1", stack.deploy(1, blueprint(SCALES)))
    stack.answers.clear()


def nobody_answers(stack: Machine) -> Act:
    deployed(stack)
    stack.approval({"Error": "States.Timeout", "Cause": ""})
    asked = stack.artifact(2)
    return lambda **how: stack.run("artifact-2", asked, **how)


def superseded(stack: Machine) -> Act:
    """While a person is asked a deploy comes, which ends the asking and goes its way."""
    deployed(stack)
    stack.approval({"Error": "Superseded", "Cause": "another release was asked for meanwhile"})
    asked, deploy = stack.artifact(2), stack.deploy(3, blueprint(SCALES), kind="Update")

    def overtake() -> None:
        stack.step("request-3", deploy, {"next": "acquire"})
        assert stack.aws.ended_tasks[-1]["error"] == "Superseded"

    def both(**how: Any) -> None:
        stack.meanwhile = overtake
        stack.run("artifact-2", asked, **how)
        stack.run("request-3", deploy, **how)

    return both


def late(stack: Machine) -> Act:
    """CloudFormation's hour is over while the endpoint moves."""
    deployed(stack)
    asked = {**stack.deploy(2, blueprint(SCALES), kind="Update"), "deadline": stack.aws.now + 30}
    return lambda **how: stack.run("request-2", asked, **how)


def late_in_the_queue(stack: Machine) -> Act:
    """It is over before the target is free."""
    deployed(stack)
    stack.step("artifact-2", stack.artifact(2), {"next": "acquire"})
    asked = {**stack.deploy(3, blueprint(SCALES), kind="Update"), "deadline": stack.aws.now + 30}
    return lambda **how: stack.run("request-3", asked, **how)


def dead(stack: Machine, execution: str, asked: dict[str, Any], at: str) -> Act:
    """An execution died before a step; another one sees to what is left of it."""
    answer: Answer = {"next": "acquire", "wait": 0}
    while answer["next"] != at:
        stack.aws.sleep(answer["wait"])
        answer = stack.step(execution, asked, answer)
    owed = {each: asked[each] for each in ("request", "deadline") if each in asked}
    repair = {"trigger": "repair", "died": execution, "reason": "it was aborted", **owed}
    return lambda **how: stack.run(f"repair-{execution}", repair, **how)


def repair_of_a_move(stack: Machine) -> Act:
    deployed(stack)
    return dead(stack, "request-2", stack.deploy(2, blueprint(SCALES), kind="Update"), "progress")


def repair_of_a_first(stack: Machine) -> Act:
    return dead(stack, "request-1", stack.deploy(1, blueprint(SCALES)), "verify")


def repair_of_an_end(stack: Machine) -> Act:
    deployed(stack)
    return dead(stack, "artifact-2", stack.artifact(2), "finish")


def repair_of_a_removal(stack: Machine) -> Act:
    deployed(stack)
    return dead(stack, "request-9", stack.deploy(1, blueprint(SCALES), kind="Delete"), "remove")


def repair_of_what_had_not_begun(stack: Machine) -> Act:
    deployed(stack)
    return dead(stack, "request-2", stack.deploy(2, blueprint(SCALES), kind="Update"), "acquire")


SCENES = (
    nobody_answers,
    superseded,
    late,
    late_in_the_queue,
    repair_of_a_move,
    repair_of_a_first,
    repair_of_an_end,
    repair_of_a_removal,
    repair_of_what_had_not_begun,
)


@pytest.mark.parametrize("fault", ["throttled", "refused", "killed", "called twice"])
@pytest.mark.parametrize("scene", SCENES)
def test_every_call_may_go_wrong_once(stack: Machine, scene: Callable[[Machine], Act], fault: str, tell: Any) -> None:
    act = scene(stack)
    before = len(stack.aws.calls)
    act()
    calls, expected, statuses = stack.aws.calls[before:], stack.aws.state(), {one["Status"] for one in stack.answers}
    tell(f"endpoint, {scene.__name__.replace('_', ' ')}", len(calls), fault)
    for number in [-1] if fault == "called twice" else range(len(calls)):
        where = f"{fault} at call {number}, {calls[number]}"
        stack.fresh()
        act = scene(stack)
        if number >= 0:
            stack.aws.fault, stack.aws.faulty = fault, before + number
        act(twice=fault == "called twice")
        assert stack.aws.state() == expected, where
        assert {one["Status"] for one in stack.answers} == statuses, where


@pytest.mark.parametrize(
    ("scene", "outcomes", "status"),
    [
        (nobody_answers, ["rejected"], set()),
        (superseded, ["released", "superseded"], {"SUCCESS"}),
        (late, ["rolled back"], {"FAILED"}),
        (repair_of_a_move, ["rolled back"], {"FAILED"}),
        (repair_of_an_end, ["released"], set()),
    ],
)
def test_undisturbed(stack: Machine, scene: Callable[[Machine], Act], outcomes: list[str], status: set[str]) -> None:
    scene(stack)()
    history = [one["outcome"] for one in stack.aws.record()["history"]]
    assert history[: len(outcomes)] == outcomes
    assert {one["Status"] for one in stack.answers} == status
    assert stack.aws.serves() == key({"superseded": 3, "repair_of_an_end": 2}.get(scene.__name__, 1))
