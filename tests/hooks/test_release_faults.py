"""Whatever call of a release fails, is throttled, or is the last before the function dies: it ends where it would have.
And where its execution dies between two steps, another sees to what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.endpoint_world import NIGHT, TRACK, TRN1, step, target
from tests.hooks.release_world import ITEM, Releases, blueprint, key

pytestmark = pytest.mark.disturbs("release.step")

Load = Callable[[str], ModuleType]
Act = Callable[..., Any]

SCALES = target("Main", TRACK, step("grow"), schedules=[NIGHT])


@pytest.fixture
def stack(load: Load, monkeypatch: pytest.MonkeyPatch) -> Releases:
    return Releases(load, monkeypatch)


def deployed(stack: Releases) -> None:
    stack.run("request-1", stack.deploy(1, blueprint(SCALES)))
    stack.answers.clear()


def first(stack: Releases) -> Act:
    asked = stack.deploy(1, blueprint(SCALES))
    return lambda **how: stack.run("request-1", asked, **how)


def artifact(stack: Releases) -> Act:
    deployed(stack)
    stack.run("artifact-2", stack.artifact(2))
    asked = stack.artifact(3)
    return lambda **how: stack.run("artifact-3", asked, **how)


def other_type(stack: Releases) -> Act:
    deployed(stack)
    asked = stack.deploy(2, blueprint(target("Main", step("grow", 2)), kind=TRN1), kind="Update")
    return lambda **how: stack.run("request-2", asked, **how)


def bad(stack: Releases) -> Act:
    deployed(stack)
    stack.aws.bad.add(key(2))
    asked = stack.deploy(2, blueprint(SCALES, kind=TRN1), kind="Update")
    return lambda **how: stack.run("request-2", asked, **how)


def taken_back_by_sagemaker(stack: Releases) -> Act:
    deployed(stack)
    stack.aws.rolls_back[key(2)] = "an alarm"
    asked = stack.artifact(2)
    return lambda **how: stack.run("artifact-2", asked, **how)


def first_fails(stack: Releases) -> Act:
    stack.aws.bad.add(key(1))
    asked = stack.deploy(1, blueprint(SCALES))
    return lambda **how: stack.run("request-1", asked, **how)


def rollback(stack: Releases) -> Act:
    deployed(stack)
    stack.run("artifact-2", stack.artifact(2))
    return lambda **how: stack.run("person-1", {"trigger": "rollback"}, **how)


def removal(stack: Releases) -> Act:
    deployed(stack)
    stack.run("artifact-2", stack.artifact(2))
    asked = stack.deploy(1, blueprint(SCALES), kind="Delete")
    return lambda **how: stack.run("request-9", asked, **how)


def approved(stack: Releases) -> Act:
    deployed(stack)
    stack.approval()
    asked = stack.artifact(2)
    return lambda **how: stack.run("artifact-2", asked, **how)


def rejected(stack: Releases) -> Act:
    deployed(stack)
    stack.approval({"Error": "Rejected", "Cause": "arn rejected it: not today"})
    asked = stack.artifact(2)
    return lambda **how: stack.run("artifact-2", asked, **how)


SCENES = (
    first,
    artifact,
    other_type,
    bad,
    taken_back_by_sagemaker,
    first_fails,
    rollback,
    removal,
    approved,
    rejected,
)


@pytest.mark.parametrize("fault", ["throttled", "refused", "killed"])
@pytest.mark.parametrize("scene", SCENES)
def test_every_call_may_go_wrong_once(stack: Releases, scene: Callable[[Releases], Act], fault: str, tell: Any) -> None:
    act = scene(stack)
    before = len(stack.aws.calls)
    act()
    calls, expected, answers = stack.aws.calls[before:], stack.aws.state(), stack.answers
    assert len(calls) > 10
    tell(f"endpoint, {scene.__name__.replace('_', ' ')}", len(calls), fault)
    for number, operation in enumerate(calls):
        where = f"{fault} at call {number}, {operation}"
        stack.fresh()
        act = scene(stack)
        stack.aws.fault, stack.aws.faulty = fault, before + number
        act()
        assert stack.aws.state() == expected, where
        assert {one["Status"] for one in stack.answers} == {one["Status"] for one in answers}, where


@pytest.mark.parametrize("scene", SCENES)
def test_every_step_twice_is_once(stack: Releases, scene: Callable[[Releases], Act], tell: Any) -> None:
    act = scene(stack)
    before = len(stack.aws.calls)
    act()
    expected, answers = stack.aws.state(), {one["Status"] for one in stack.answers}
    tell(f"endpoint, {scene.__name__.replace('_', ' ')}", len(stack.aws.calls) - before, "called twice")
    stack.fresh()

    scene(stack)(twice=True)

    assert stack.aws.state() == expected
    assert {one["Status"] for one in stack.answers} == answers


@pytest.mark.parametrize("scene", SCENES)
def test_an_execution_may_die_before_any_step(stack: Releases, scene: Callable[[Releases], Act]) -> None:
    scene(stack)()
    steps = len(stack.steps)
    for number in range(1, steps):
        stack.fresh()
        act = scene(stack)
        done = len(stack.steps)
        act(dies_before=number)
        pending = stack.aws.record().get("pending")
        if pending is None:  # it had not begun, or was over
            continue
        execution, finished = pending["execution"], pending["stage"] in ("finish", "remove")
        served = stack.aws.record()["current"]

        stack.run(f"repair-{execution}", {"trigger": "repair", "died": execution, "reason": "it was aborted"})

        where = f"{scene.__name__} died before step {number}, after {stack.steps[done:]}"
        after = stack.aws.record()
        assert after.get("pending") is None, where
        assert not stack.aws.items.get(ITEM, {}).get("lease_owner"), where
        if not finished:
            assert after["current"] == served, where
            assert stack.aws.serves() == (served["artifact_key"] if served else ""), where
        assert len(stack.aws.models) <= 2, where
