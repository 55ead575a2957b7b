"""An endpoint's hook believes what is in service, not that a deployment ended, and says what is otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import INF2, MAIN, TRACK, TRN1, Deployment, target


def test_an_endpoint_that_is_as_asked_succeeds_and_is_remembered(stack: Deployment) -> None:
    answer = stack.create(stack.declared(1))
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == NAME
    assert stack.record["configuration"] == "c1"
    assert stack.record["images"] == {"Main": [f"123456789012.dkr.ecr.us-east-1.amazonaws.com/serve@sha256:{'1' * 4}"]}


def test_a_silent_roll_back_fails_with_what_is_in_service_and_why(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.create(one)
    two = stack.declared(2)
    stack.aws.roll_back("the alarm p99 was raised")
    answer = stack.send("InService", "Update", two, one)
    assert answer["Status"] == "FAILED"
    for part in ("c1 is in service, not c2", "the alarm p99 was raised"):
        assert part in answer["Reason"]
    assert stack.record["configuration"] == "c1", "what was verified last"


def test_a_reason_of_a_failure_fails_a_configuration_that_was_never_verified(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.roll_back("no capacity")
    assert "no capacity" in stack.send("InService", "Create", one)["Reason"]


def test_the_reason_of_an_older_failure_does_not_stop_a_later_change_of_scaling(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.create(one)
    stack.aws.roll_back("no capacity")
    scaled = stack.declared(1, target("Main", TRACK))
    assert stack.send("InService", "Update", scaled, one)["Status"] == "SUCCESS"
    assert set(stack.aws.targets) == {MAIN}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda aws: aws.model("m1", "other"), "loads s3://artifacts/artifacts/other/a1/, not artifact artifact1"),
        (lambda aws: aws.model("m1", "artifact1", "serve:2"), "runs image serve:2"),
        (lambda aws: aws.models.pop("m1"), "there is no model m1"),
        (lambda aws: aws.configuration("c1", Main=("m1", TRN1)), f"serves m1 on {TRN1}, not m1 on {INF2}"),
        (lambda aws: aws.configuration("c1", Main=("m0", INF2)), f"serves m0 on {INF2}"),
        (lambda aws: (aws.configuration("c1", Old=("m1", INF2)), aws.serve("c1")), "variant Main is not in service"),
        (lambda aws: aws.become("OutOfService"), "the endpoint is OutOfService"),
    ],
    ids=["artifact", "image", "model", "type", "another model", "variant", "status"],
)
def test_what_is_in_service_and_was_not_asked_for_fails(
    stack: Deployment, spoil: Callable[[Any], Any], said: str
) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    spoil(stack.aws)
    answer = stack.send("InService", "Create", one)
    assert answer["Status"] == "FAILED"
    assert said in answer["Reason"]
    assert not stack.aws.items


def test_pools_are_compared_each_with_its_model(stack: Deployment) -> None:
    one = stack.declared(1, variants={"Main": [INF2, TRN1]})
    assert stack.create(one)["Status"] == "SUCCESS"
    stack.aws.model("other", "artifact9")
    stack.aws.configurations["c1"]["ProductionVariants"][0]["InstancePools"][1]["ModelNameOverride"] = "other"
    assert f"other on {TRN1}" in stack.send("InService", "Update", one, one)["Reason"]


def test_a_component_that_serves_another_model_fails(stack: Deployment) -> None:
    one = stack.declared(1, components={"mini-1": 1})
    assert stack.create(one)["Status"] == "SUCCESS"
    stack.aws.model("m0", "artifact0")
    stack.aws.components["mini-1"] |= {"model": "m0", "failure": "rolled back"}
    answer = stack.send("InService", "Update", one, one)
    assert "component mini-1 serves model m0, not m1: rolled back" in answer["Reason"]


def test_an_endpoint_that_still_moves_is_waited_for(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.become("Updating")
    stack.aws.after(120, lambda: stack.aws.become("InService"))
    assert stack.send("InService", "Create", one)["Status"] == "SUCCESS"


def test_an_endpoint_that_moves_too_long_is_said_to_before_the_function_ends(stack: Deployment) -> None:
    one, began = stack.declared(1), stack.aws.now
    stack.aws.serve("c1")
    stack.aws.become("Updating")
    assert "still Updating: deploy again" in stack.send("InService", "Create", one)["Reason"]
    assert stack.aws.now - began < 870


def test_a_reason_is_at_most_a_kilobyte(stack: Deployment) -> None:
    stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.roll_back("x" * 1024)
    answer = stack.send("InService", "Create", stack.declared(1))
    assert len(answer["Reason"].encode()) <= 1024
