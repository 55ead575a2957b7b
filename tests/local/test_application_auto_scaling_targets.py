"""Scalable targets keep an endpoint within their limits, are refused when there can be none, and last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.scalable_targets import COPIES, COUNT, PER_INSTANCE, Target

Clients = Callable[[str], Any]
Later = Callable[[float], float]


def test_a_target_below_its_minimum_is_raised(target: Any, eventually: Any, later: Later) -> None:
    one = target(2, 4)
    eventually(lambda: one.count == 2)
    later(10)
    (activity,) = one.activities()
    assert activity["Cause"] == "minimum capacity was set to 2"
    assert activity["Description"] == "Setting desired instance count to 2."
    assert activity["StatusCode"] == "Successful"
    assert activity["StatusMessage"].endswith("Change successfully fulfilled by sagemaker.")


def test_a_target_above_its_maximum_is_lowered(target: Any, eventually: Any) -> None:
    one = target(1, 1, count=2)
    eventually(lambda: one.count == 1)
    assert one.activities()[0]["Cause"] == "maximum capacity was set to 1"


@pytest.mark.parametrize(
    ("resource", "dimension", "reason"),
    [
        ("endpoint/one", COUNT, "Unsupported resource ID endpoint/one"),
        ("inference-component/one", COUNT, "Unsupported resource ID"),
        ("endpoint/one/variant/Main", COPIES, "Unsupported resource ID"),
        ("endpoint/one/variant/Main", "ecs:service:DesiredCount", "Unsupported service namespace"),
        ("endpoint/one/variant/Main", "sagemaker:variant:DesiredProvisionedConcurrency", "not part of the embedded"),
    ],
)
def test_a_target_that_cannot_be_is_refused(
    client: Clients, code_of: Any, resource: str, dimension: str, reason: str
) -> None:
    refused = code_of(Target(client, resource, dimension).register, least=1, most=2)
    assert refused.code == "ValidationException"
    assert reason in refused.message


def test_targets_policies_and_schedules_outlive_the_server(
    own_aws: EmbeddedAws, clients_of: Callable[[EmbeddedAws], Clients]
) -> None:
    own_aws.up()
    one = Target(clients_of(own_aws), "endpoint/none/variant/Main")
    one.register(1, 4)
    policy = one.track(PER_INSTANCE, 10.0)
    one.schedule("up", "rate(10 minutes)", MinCapacity=2)
    own_aws.down()
    own_aws.up()

    own_aws.set_clock(advance_s=660)
    one = Target(clients_of(own_aws), "endpoint/none/variant/Main")
    (found,) = one.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert found["Alarms"] == policy["Alarms"]
    (registered,) = one.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert registered["MinCapacity"] == 2
    assert [activity["Cause"] for activity in one.activities()] == ["scheduled action name up was triggered"]
