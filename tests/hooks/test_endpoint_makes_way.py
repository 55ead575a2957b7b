"""Before an update, an endpoint's hook deregisters the scaling that SageMaker would refuse the update for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import INF2, MAIN, RESOURCE, TRACK, TRN1, Deployment, step, target


def test_another_model_on_the_same_type_leaves_scaling_alone(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", TRACK, step("grow")))
    stack.create(one)
    before = stack.aws.state()
    stack.send("Change", "Update", stack.declared(2, target("Main", TRACK, step("grow"))), one)
    assert stack.aws.state() == before


@pytest.mark.parametrize(
    "variants",
    [{"Main": TRN1, "Other": INF2}, {"Main": [INF2, TRN1], "Other": INF2}, {"Other": INF2}],
    ids=["another type", "pools", "gone"],
)
def test_only_the_variant_that_sagemaker_would_refuse_the_update_for_is_deregistered(
    stack: Deployment, variants: dict[str, Any]
) -> None:
    targets = target("Main", TRACK), target("Other", TRACK, step("Other-grow"))
    one = stack.declared(1, *targets, variants={"Main": INF2, "Other": INF2})
    stack.create(one)
    two = stack.declared(2, target("Other", TRACK, step("Other-grow")), variants=variants)
    assert stack.send("Change", "Update", two, one)["Status"] == "SUCCESS"
    assert set(stack.aws.targets) == {f"{RESOURCE}Other"}
    stack.aws.serve("c2")  # and is not refused
    assert stack.send("InService", "Update", two, one)["Status"] == "SUCCESS"


def test_the_alarms_of_a_variant_that_makes_way_go_with_it(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", step("grow")))
    stack.create(one)
    two = stack.declared(2, target("Main", step("grow")), variants={"Main": TRN1})
    stack.send("Change", "Update", two, one)
    assert not stack.aws.alarms
    stack.aws.serve("c2")
    stack.send("InService", "Update", two, one)
    (alarm,) = stack.aws.alarms.values()
    assert alarm["AlarmActions"] == [stack.aws.policies[MAIN]["grow"]["PolicyARN"]]


def test_of_a_configuration_that_is_gone_every_variant_makes_way(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", TRACK))
    stack.create(one)
    shown = stack.aws.describe_endpoint(EndpointName=NAME)
    stack.aws.describe_endpoint = lambda **_: shown  # type: ignore[method-assign]
    del stack.aws.configurations["c1"]
    stack.send("Change", "Update", stack.declared(2, target("Main", TRACK)), one)
    assert not stack.aws.targets


def test_an_update_waits_until_nothing_is_under_way(stack: Deployment) -> None:
    one, two = stack.declared(1), stack.declared(2)
    stack.create(one)
    stack.aws.become("Updating")  # scaling sets a size
    stack.aws.after(30, lambda: stack.aws.become("InService"))
    assert stack.send("Change", "Update", two, one)["Status"] == "SUCCESS"
    assert stack.aws.endpoint is not None
    assert stack.aws.endpoint["status"] == "InService"


def test_the_first_change_of_an_endpoint_that_is_not_there_does_nothing(stack: Deployment) -> None:
    one = stack.declared(1)
    assert stack.send("Change", "Update", one, one)["Status"] == "SUCCESS"
