"""Instance pools in the embedded AWS: the first type that has capacity, each with the model made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Clients = Callable[[str], Any]

_FIRST, _SECOND = "ml.inf2.xlarge", "ml.inf2.8xlarge"


def _pools(described: dict[str, Any]) -> dict[str, int]:
    (variant,) = described["ProductionVariants"]
    return {pool["InstanceType"]: pool["CurrentInstanceCount"] for pool in variant["InstancePools"]}


@pytest.fixture
def pooled(config_of: Any, model_of: Any) -> Callable[..., str]:
    """A configuration of two pools, the second with a model of its own; its name."""

    def make(**more: Any) -> str:
        pools = [
            {"InstanceType": _SECOND, "Priority": 2, "ModelNameOverride": model_of(Environment={"POOL": "second"})},
            {"InstanceType": _FIRST, "Priority": 1},
        ]
        name: str = config_of(InstancePools=pools, **more)
        return name

    return make


@pytest.fixture
def scale(client: Clients, settled: Any) -> Callable[[str, int], dict[str, Any]]:
    def to(name: str, count: int) -> dict[str, Any]:
        wanted = [{"VariantName": "Main", "DesiredInstanceCount": count}]
        client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=wanted
        )
        described: dict[str, Any] = settled(name)
        return described

    return to


def test_the_pool_of_the_first_priority_serves_while_it_has_capacity(
    client: Clients, pooled: Any, endpoint_of: Any, scale: Any, wrong: Any
) -> None:
    name = endpoint_of(pooled())
    assert _pools(client("sagemaker").describe_endpoint(EndpointName=name)) == {_FIRST: 1, _SECOND: 0}

    wrong(short={_FIRST: 1})

    assert _pools(scale(name, 3)) == {_FIRST: 1, _SECOND: 2}
    assert _pools(scale(name, 1)) == {_FIRST: 1, _SECOND: 0}, "the last pool is given back first"


def test_a_pool_serves_the_model_that_was_made_for_its_type(
    client: Clients, pooled: Any, endpoint_of: Any, wrong: Any, ask: Any, code_of: Any
) -> None:
    wrong(short={_FIRST: 0})
    config = pooled()
    declared = client("sagemaker").describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    override = declared[0]["InstancePools"][0]["ModelNameOverride"]

    name = endpoint_of(config)

    assert ask(name)
    wrong(fail={override: {"error_rate": 1.0}})
    assert code_of(ask, name=name).code == "ModelError"


def test_no_pool_with_capacity_fails_once_the_time_to_provision_is_over(
    client: Clients, pooled: Any, settled: Any, wrong: Any, later: Any
) -> None:
    wrong(short={_FIRST: 0, _SECOND: 0})
    config = pooled(VariantInstanceProvisionTimeoutInSeconds=600)
    client("sagemaker").create_endpoint(EndpointName=config, EndpointConfigName=config)
    later(500)
    assert client("sagemaker").describe_endpoint(EndpointName=config)["EndpointStatus"] == "Creating"

    later(150)

    failed = settled(config)
    assert failed["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in failed["FailureReason"]
    client("sagemaker").delete_endpoint(EndpointName=config)


def test_capacity_that_comes_back_in_time_is_taken(
    client: Clients, pooled: Any, settled: Any, wrong: Any, later: Any
) -> None:
    wrong(short={_FIRST: 0, _SECOND: 0})
    config = pooled(VariantInstanceProvisionTimeoutInSeconds=600)
    client("sagemaker").create_endpoint(EndpointName=config, EndpointConfigName=config)
    later(300)
    wrong(short={})

    later(20)

    assert settled(config)["EndpointStatus"] == "InService"
    client("sagemaker").delete_endpoint(EndpointName=config)


def test_a_single_type_without_capacity_fails_at_once(endpoint_of: Any, config_of: Any, wrong: Any) -> None:
    wrong(short={_FIRST: 0})

    endpoint_of(config_of(InstanceType=_FIRST), status="Failed")


def test_a_scale_out_without_capacity_leaves_what_serves(
    endpoint_of: Any, config_of: Any, scale: Any, wrong: Any, ask: Any
) -> None:
    name = endpoint_of(config_of(InstanceType=_FIRST))
    wrong(short={_FIRST: 1})

    described = scale(name, 2)

    assert described["EndpointStatus"] == "InService"
    assert "InsufficientInstanceCapacity" in described["FailureReason"]
    assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    assert ask(name)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (
            {"InstancePools": [{"InstanceType": _FIRST, "Priority": 1}] * 2},
            "an instance type and a priority of its own",
        ),
        ({"VariantInstanceProvisionTimeoutInSeconds": 600}, "needs InstancePools"),
        ({"ManagedInstanceScaling": {"Status": "ENABLED"}}, "only supported for inference component endpoints"),
        (
            {"InstanceType": "ml.inf1.xlarge", "InferenceAmiVersion": "al2-ami-sagemaker-inference-neuron-2"},
            "not supported for ml.inf1",
        ),
    ],
)
def test_a_variant_that_cannot_be_is_refused(wanted: dict[str, Any], why: str, config_of: Any, code_of: Any) -> None:
    refused = code_of(config_of, **wanted)

    assert refused.code == "ValidationException"
    assert why in refused.message
