"""Whatever call of an endpoint's hook fails, is throttled, or is the last before the function dies: called again it
ends where it would have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.hooks.endpoint_aws import KilledError
from tests.hooks.endpoint_world import INF2, NIGHT, TRACK, TRN1, Deployment, smoke, step, target

pytestmark = pytest.mark.disturbs("endpoint.hook")

Act = Callable[[], Any]

TESTS = [smoke(max_latency_ms=2000)]
SCALES = target("Main", TRACK, step("grow"), step("shrink", -1), schedules=[NIGHT])


def first(stack: Deployment) -> dict[str, Any]:
    return stack.declared(1, SCALES, target("Other", step("Other-grow")), variants=BOTH, tests=TESTS)


BOTH: dict[str, str | list[str]] = {"Main": INF2, "Other": INF2}
MOVED: dict[str, str | list[str]] = {"Main": TRN1}


def second(stack: Deployment) -> dict[str, Any]:
    return stack.declared(2, target("Main", step("grow", 2)), variants=MOVED, tests=TESTS)


def create(stack: Deployment) -> Act:
    one = first(stack)
    stack.aws.serve("c1")
    return lambda: stack.send("InService", "Create", one)


def components(stack: Deployment) -> Act:
    scales = target("mini-1", TRACK, step("wake"), resource="component", least=0)
    one = stack.declared(1, scales, components={"mini-1": 0}, tests=[smoke(None, "mini-1")])
    stack.aws.serve("c1")
    stack.aws.components = {"mini-1": {"status": "InService", "model": "m1", "copies": 0}}
    return lambda: stack.send("InService", "Create", one)


def queue(stack: Deployment) -> Act:
    one = stack.declared(1, target("Main", step("wake"), least=0), tests=[smoke(None, mode="async")], queue=True)
    stack.aws.serve("c1")
    stack.aws.instances["Main"] = 0
    return lambda: stack.send("InService", "Create", one)


def make_way(stack: Deployment) -> Act:
    one = first(stack)
    stack.create(one)
    two = second(stack)
    return lambda: stack.send("Change", "Update", two, one)


def move(stack: Deployment) -> Act:
    one = first(stack)
    stack.create(one)
    two = second(stack)
    stack.send("Change", "Update", two, one)
    stack.aws.serve("c2")
    return lambda: stack.send("InService", "Update", two, one)


def shrink(stack: Deployment) -> Act:
    """Less is declared, of the same version."""
    one = first(stack)
    stack.create(one)
    less = stack.declared(1, target("Main", step("grow", 2)), variants=BOTH, tests=TESTS)
    return lambda: stack.send("InService", "Update", less, one)


def come_back(stack: Deployment) -> Act:
    one = first(stack)
    stack.create(one)
    two = second(stack)
    stack.send("Change", "Update", two, one)
    return lambda: stack.send("Change", "Update", one, two)


def event(stack: Deployment) -> Act:
    one = first(stack)
    stack.create(one)
    stack.send("Change", "Update", second(stack), one)
    stack.aws.roll_back("an alarm")
    return stack.event


def delete(stack: Deployment) -> Act:
    one = first(stack)
    stack.create(one)
    return lambda: stack.send("InService", "Delete", one)


SCENES = (create, components, queue, make_way, move, shrink, come_back, event, delete)


def attempt(act: Act) -> bool:
    """Whether the function ended well: an answer that is no failure, or an event that raised nothing."""
    try:
        answer = act()
    except (Exception, KilledError):
        return False
    return answer is None or answer["Status"] == "SUCCESS"


def end(stack: Deployment) -> dict[str, Any]:
    """A request of a smoke test that was killed stays until the bucket forgets it."""
    return stack.aws.state() | {"requests": None}


@pytest.mark.parametrize("fault", ["throttled", "refused", "killed"])
@pytest.mark.parametrize("scene", SCENES)
def test_every_call_may_go_wrong_once(
    stack: Deployment, scene: Callable[[Deployment], Act], fault: str, tell: Any
) -> None:
    act = scene(stack)
    before = len(stack.aws.calls)
    assert attempt(act)
    calls, expected = stack.aws.calls[before:], end(stack)
    assert calls
    tell(scene.__name__.replace("_", " "), len(calls), fault)
    for number, operation in enumerate(calls):
        where = f"{fault} at call {number}, {operation}"
        stack.fresh()
        act = scene(stack)
        stack.aws.fault, stack.aws.faulty = fault, before + number
        well = attempt(act)
        if fault == "throttled" and scene is not event:
            assert well, f"{where}: tried again by itself"
        assert not (fault == "killed" and well), where
        stack.aws.dead = False
        assert attempt(act), where
        assert end(stack) == expected, where


@pytest.mark.parametrize("scene", SCENES)
def test_twice_is_once(stack: Deployment, scene: Callable[[Deployment], Act], tell: Any) -> None:
    act = scene(stack)
    before = len(stack.aws.calls)
    act()
    expected = end(stack)
    tell(scene.__name__.replace("_", " "), len(stack.aws.calls) - before, "called twice")
    act()
    assert end(stack) == expected
