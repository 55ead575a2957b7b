"""Deployments of endpoints in the embedded AWS shift requests as asked, watch alarms, and lose none on the way."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Clients = Callable[[str], Any]

_CANARY: dict[str, Any] = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 300,
        },
        "TerminationWaitInSeconds": 300,
    }
}
_LINEAR = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "LINEAR",
            "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 40},
            "WaitIntervalInSeconds": 300,
        }
    }
}
_ROLLING = {
    "RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 300,
    }
}


@pytest.fixture
def update(client: Clients) -> Callable[..., None]:
    """Begin an update of an endpoint."""

    def call(name: str, config: str, policy: dict[str, Any] | None = None, **more: Any) -> None:
        deployment = {"DeploymentConfig": policy} if policy else {}
        client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, **deployment, **more)

    return call


@pytest.fixture
def describe(client: Clients) -> Callable[[str], dict[str, Any]]:
    def call(name: str) -> dict[str, Any]:
        described: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=name)
        return described

    return call


@pytest.fixture
def both_serve(ask: Any, wrong: Any, eventually: Any, describe: Any) -> Callable[..., None]:
    """Wait until a second fleet has instances beside the first."""

    def wait(name: str) -> None:
        def look() -> bool:
            pending = describe(name).get("PendingDeploymentSummary")
            return bool(pending) and pending["ProductionVariants"][0]["CurrentInstanceCount"] > 0

        eventually(look)

    return wait


def _watching(policy: dict[str, Any], alarm: str) -> dict[str, Any]:
    return policy | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}}


@pytest.mark.parametrize("policy", [_CANARY, _LINEAR, _ROLLING], ids=["canary", "linear", "rolling"])
def test_a_shift_waits_on_the_clock_and_loses_no_request(
    policy: dict[str, Any],
    config_of: Any,
    endpoint_of: Any,
    update: Any,
    describe: Any,
    both_serve: Any,
    settled: Any,
    later: Any,
    under_load: Any,
) -> None:
    name, coming = endpoint_of(config_of(InitialInstanceCount=2)), config_of(InitialInstanceCount=2)

    with under_load(name) as load:
        update(name, coming, policy)
        both_serve(name)
        amid = describe(name)
        later(2000)
        ended = settled(name)

    assert amid["EndpointStatus"] == "Updating"
    assert amid["PendingDeploymentSummary"]["EndpointConfigName"] == coming
    assert (ended["EndpointConfigName"], ended["LastDeploymentConfig"]) == (coming, policy)
    assert ended["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert "PendingDeploymentSummary" not in ended
    assert load.done > 10
    assert load.lost == []


@pytest.mark.parametrize("policy", [_CANARY, _ROLLING], ids=["canary", "rolling"])
def test_an_alarm_takes_the_shift_back(
    policy: dict[str, Any],
    client: Clients,
    config_of: Any,
    endpoint_of: Any,
    update: Any,
    both_serve: Any,
    settled: Any,
    later: Any,
    under_load: Any,
    quiet_alarm: str,
) -> None:
    config = config_of(InitialInstanceCount=2)
    name = endpoint_of(config)

    with under_load(name) as load:
        update(name, config_of(InitialInstanceCount=2), _watching(policy, quiet_alarm))
        both_serve(name)
        later(20)
        client("cloudwatch").set_alarm_state(AlarmName=quiet_alarm, StateValue="ALARM", StateReason="errors")
        later(30)
        ended = settled(name)

    assert (ended["EndpointStatus"], ended["EndpointConfigName"]) == ("InService", config)
    assert quiet_alarm in ended["FailureReason"]
    assert ended["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert load.lost == []


def test_a_bake_after_the_last_batch_can_still_take_all_of_it_back(
    client: Clients,
    config_of: Any,
    endpoint_of: Any,
    update: Any,
    describe: Any,
    both_serve: Any,
    eventually: Any,
    settled: Any,
    later: Any,
    quiet_alarm: str,
) -> None:
    config = config_of(InitialInstanceCount=2)
    name = endpoint_of(config)
    update(name, config_of(InitialInstanceCount=2), _watching(_ROLLING, quiet_alarm))
    both_serve(name)
    later(310)  # the second batch is there, and one old instance is gone
    assert describe(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 1

    client("cloudwatch").set_alarm_state(AlarmName=quiet_alarm, StateValue="ALARM", StateReason="errors")
    later(20)

    ended = settled(name)
    assert ended["EndpointConfigName"] == config
    assert ended["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_roll_back_without_capacity_says_so(
    client: Clients,
    config_of: Any,
    endpoint_of: Any,
    update: Any,
    both_serve: Any,
    settled: Any,
    later: Any,
    quiet_alarm: str,
    wrong: Any,
    ask: Any,
) -> None:
    kind = "ml.m5.4xlarge"
    name = endpoint_of(config_of(InitialInstanceCount=2, InstanceType=kind))
    update(name, config_of(InitialInstanceCount=2, InstanceType=kind), _watching(_ROLLING, quiet_alarm))
    both_serve(name)
    later(310)
    wrong(short={kind: 0})
    client("cloudwatch").set_alarm_state(AlarmName=quiet_alarm, StateValue="ALARM", StateReason="errors")
    later(20)

    ended = settled(name)

    assert ended["EndpointStatus"] == "UpdateRollbackFailed"
    assert "InsufficientInstanceCapacity" in ended["FailureReason"]
    assert ask(name)


def test_a_deployment_has_an_end(
    config_of: Any, endpoint_of: Any, update: Any, both_serve: Any, settled: Any, later: Any
) -> None:
    config = config_of()
    name = endpoint_of(config)
    policy = copy.deepcopy(_CANARY)
    policy["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 600
    policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] = 900
    update(name, config_of(), policy)
    both_serve(name)
    later(700)

    ended = settled(name)

    assert ended["EndpointConfigName"] == config
    assert "MaximumExecutionTimeoutInSeconds (600)" in ended["FailureReason"]


def test_inf1_shifts_all_at_once_whatever_is_asked(
    config_of: Any, endpoint_of: Any, update: Any, settled: Any, quiet_alarm: str
) -> None:
    name, coming = endpoint_of(config_of(InstanceType="ml.inf1.xlarge")), config_of(InstanceType="ml.inf1.xlarge")

    update(name, coming, _watching(_CANARY, quiet_alarm))

    ended = settled(name)
    assert ended["EndpointConfigName"] == coming
    assert "LastDeploymentConfig" not in ended


def test_an_update_can_end_without_a_word_as_it_was(
    config_of: Any, endpoint_of: Any, update: Any, settled: Any, wrong: Any, ask: Any
) -> None:
    config = config_of()
    name = endpoint_of(config)
    wrong(silent_rollback=[name])

    update(name, config_of())

    ended = settled(name)
    assert (ended["EndpointStatus"], ended["EndpointConfigName"]) == ("InService", config)
    assert "FailureReason" not in ended
    assert ask(name)


def test_an_update_keeps_sizes_and_weights_that_it_is_told_to(
    client: Clients, config_of: Any, endpoint_of: Any, update: Any, settled: Any
) -> None:
    name = endpoint_of(config_of())
    wanted = [{"VariantName": "Main", "DesiredInstanceCount": 2, "DesiredWeight": 3}]
    client("sagemaker").update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    settled(name)

    update(name, config_of(), RetainAllVariantProperties=True)
    (kept,) = settled(name)["ProductionVariants"]
    assert (kept["CurrentInstanceCount"], kept["CurrentWeight"]) == (2, 3)

    excluded = [{"VariantPropertyType": "DesiredInstanceCount"}]
    update(name, config_of(), RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded)
    (kept,) = settled(name)["ProductionVariants"]
    assert (kept["CurrentInstanceCount"], kept["CurrentWeight"]) == (1, 3)


def test_the_last_deployment_can_be_repeated(
    config_of: Any, endpoint_of: Any, update: Any, both_serve: Any, settled: Any, later: Any, describe: Any
) -> None:
    name = endpoint_of(config_of())
    update(name, config_of(), _CANARY)
    both_serve(name)
    later(1000)
    settled(name)

    update(name, config_of(), RetainDeploymentConfig=True)

    both_serve(name)
    assert describe(name)["EndpointStatus"] == "Updating"
    later(1000)
    assert settled(name)["LastDeploymentConfig"] == _CANARY


def test_a_new_version_can_be_told_to_misbehave(
    client: Clients,
    config_of: Any,
    endpoint_of: Any,
    update: Any,
    both_serve: Any,
    settled: Any,
    later: Any,
    under_load: Any,
    wrong: Any,
    eventually: Any,
) -> None:
    """The whole way: errors of the new fleet alone, its alarm by EndpointConfigName, the roll-back."""
    config, coming = config_of(), config_of()
    name = endpoint_of(config)
    alarm = f"alarm-{uuid.uuid4().hex[:8]}"
    dimensions = {"EndpointName": name, "VariantName": "Main", "EndpointConfigName": coming}
    client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.01,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    wrong(fail_next={name: {"error_rate": 1.0}})

    with under_load(name) as load:
        update(name, coming, _watching(_CANARY, alarm))
        both_serve(name)
        eventually(lambda: load.lost)
        later(90)
        ended = settled(name)
        lost = len(load.lost)

    assert ended["EndpointConfigName"] == config
    assert alarm in ended["FailureReason"]
    assert len(load.lost) == lost, "the old version answers all requests"
    client("cloudwatch").delete_alarms(AlarmNames=[alarm])


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (
            {"RollingUpdatePolicy": _ROLLING["RollingUpdatePolicy"]},
            "not supported for endpoints with multiple variants",
        ),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 60},
                        "WaitIntervalInSeconds": 0,
                    }
                }
            },
            "CanarySize must be between 1 and 50 percent",
        ),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "LINEAR", "WaitIntervalInSeconds": 0},
                }
            },
            "LinearStepSize is required",
        ),
        (_watching(_CANARY, "nobody"), "Could not find the CloudWatch alarm nobody"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(
    policy: dict[str, Any], why: str, config_of: Any, refusing: str, update: Any, code_of: Any
) -> None:
    coming = config_of(variants=[{"VariantName": "Main"}, {"VariantName": "Other"}])

    assert why in code_of(update, name=refusing, config=coming, policy=policy).message


@pytest.fixture(scope="module")
def refusing(client: Clients, config_of: Any, settled: Any) -> Iterator[str]:
    """An endpoint for what is refused, which leaves it as it is."""
    name = f"endpoint-{uuid.uuid4().hex[:8]}"
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config_of())
    settled(name)
    yield name
    client("sagemaker").delete_endpoint(EndpointName=name)


def test_a_variant_that_scales_by_itself_keeps_its_type(
    client: Clients, config_of: Any, endpoint_of: Any, update: Any, code_of: Any, settled: Any
) -> None:
    name = endpoint_of(config_of())
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/Main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    client("application-autoscaling").register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)

    for coming in (config_of(InstanceType="ml.m5.xlarge"), config_of(variants=[{"VariantName": "Other"}])):
        refused = code_of(update, name=name, config=coming)
        assert refused.message == (
            'The variant(s) "[Main]" must be deregistered as scalable targets with AWS Auto Scaling before they can be '
            "removed or have their instance type updated."
        )
    update(name, config_of())
    assert settled(name)["EndpointStatus"] == "InService"

    client("sagemaker").delete_endpoint(EndpointName=name)
    left = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["ResourceId"] not in [each["ResourceId"] for each in left]
