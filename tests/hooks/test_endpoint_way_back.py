"""Scaling that made way for an update comes back when the endpoint or its stack does, and no sooner."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import MAIN, NIGHT, TRACK, TRN1, Deployment, step, target
from tests.hooks.fleet_aws import error


def changed(stack: Deployment) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Version 1 scales; version 2 has another type, and version 1 has made way for it. And the state with version 1."""
    one = stack.declared(1, target("Main", TRACK, step("grow"), schedules=[NIGHT]))
    stack.create(one)
    before = stack.aws.state()
    two = stack.declared(2, target("Main", TRACK), variants={"Main": TRN1})
    stack.send("Change", "Update", two, one)
    assert not stack.aws.targets
    return one, two, before


def test_a_roll_back_of_the_endpoint_brings_scaling_back(stack: Deployment) -> None:
    _, _, before = changed(stack)
    stack.aws.roll_back("the alarm was raised")
    stack.event()
    assert stack.aws.state() | {"items": {}} == before | {"items": {}}


def test_an_event_before_the_update_begins_registers_nothing(stack: Deployment) -> None:
    one, _, _ = changed(stack)
    stack.event()
    assert not stack.aws.targets, "SageMaker would refuse the update"
    assert one


def test_an_event_while_the_change_waits_registers_nothing(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", TRACK))
    stack.create(one)
    two = stack.declared(2, target("Main", TRACK), variants={"Main": TRN1})
    stack.aws.become("Updating")

    def settled() -> None:
        stack.aws.become("InService")
        stack.event()

    stack.aws.after(30, settled)
    stack.send("Change", "Update", two, one)
    stack.event()
    assert not stack.aws.targets


def test_the_stacks_way_back_brings_scaling_back_though_the_update_never_began(stack: Deployment) -> None:
    one, two, before = changed(stack)
    stack.send("Change", "Update", one, two)
    assert stack.aws.state() == before


def test_the_stacks_way_back_from_a_bad_version_brings_scaling_back(stack: Deployment) -> None:
    one, two, before = changed(stack)
    stack.aws.serve("c2")
    stack.aws.model("m2", "another")
    assert stack.send("InService", "Update", two, one)["Status"] == "FAILED"
    assert stack.send("Change", "Update", one, two)["Status"] == "SUCCESS"
    stack.event()
    assert not stack.aws.targets, "the way back has not begun"
    stack.aws.serve("c1")
    stack.event()
    assert set(stack.aws.targets) == {MAIN}
    assert stack.send("InService", "Update", one, two)["Status"] == "SUCCESS"
    assert stack.aws.state() == before


def test_what_a_failed_version_had_registered_goes_on_the_way_back(
    stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scales(name: str) -> dict[str, Any]:
        return target(name, step("wake"), resource="component")

    one = stack.declared(1, scales("mini-1"), components={"mini-1": 1})
    stack.create(one)
    two = stack.declared(2, scales("mini-1"), scales("mini-2"), components={"mini-1": 1, "mini-2": 1})
    with monkeypatch.context() as patched:

        def refused(**_: Any) -> None:
            raise error("AccessDeniedException", "UpdateItem")

        patched.setattr(stack.aws, "update_item", refused)
        assert stack.update(two, one)["Status"] == "FAILED"
    assert set(stack.aws.alarms) == {"mini-1-wake", "mini-2-wake"}
    stack.declared(1, scales("mini-1"), components={"mini-1": 1})
    assert stack.update(one, two)["Status"] == "SUCCESS"
    assert set(stack.aws.targets) == {"inference-component/mini-1"}
    assert set(stack.aws.alarms) == {"mini-1-wake"}


def test_an_event_of_a_version_that_is_not_verified_yet_registers_nothing(stack: Deployment) -> None:
    changed(stack)
    stack.aws.serve("c2")
    stack.event()
    assert not stack.aws.targets


def test_an_event_leaves_what_is_registered_as_a_schedule_set_it(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("Main", TRACK, schedules=[NIGHT])))
    stack.aws.targets[MAIN] |= {"MinCapacity": 2, "MaxCapacity": 2}
    stack.event()
    assert stack.aws.targets[MAIN]["MaxCapacity"] == 2


def test_an_event_mends_a_target_that_lacks_its_alarm(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("Main", step("grow"))))
    stack.aws.alarms.clear()
    stack.event()
    assert set(stack.aws.alarms) == {f"{NAME}-grow"}


def test_an_event_of_an_endpoint_that_nobody_remembers_does_nothing(stack: Deployment) -> None:
    stack.declared(1)
    stack.aws.serve("c1")
    stack.event()
    assert not stack.aws.targets


@pytest.mark.parametrize("what", ["deletion", "deploy", "change"])
def test_a_deploy_that_writes_while_an_event_registers_has_the_last_word(stack: Deployment, what: str) -> None:
    one = stack.declared(1, target("Main", step("grow")))
    stack.create(one)
    scaled = stack.declared(1, target("Main", TRACK))
    two = stack.declared(2, target("Main", step("grow")), variants={"Main": TRN1})
    stack.aws.alarms.clear()  # so that the event has something to do
    put, done = stack.aws.put_metric_alarm, list[int]()

    def meanwhile(**request: Any) -> None:
        if not done:
            done.append(1)
            if what == "deletion":
                stack.send("InService", "Delete", one)
            elif what == "deploy":
                stack.send("InService", "Update", scaled, one)
            else:
                stack.send("Change", "Update", two, one)
        put(**request)

    stack.aws.put_metric_alarm = meanwhile  # type: ignore[method-assign]
    stack.event()
    assert not stack.aws.alarms
    assert set(stack.aws.targets) == ({MAIN} if what == "deploy" else set())
    if what == "deploy":
        assert set(stack.aws.policies[MAIN]) == {"concurrent-requests"}
