"""Scaling policies move endpoints and components of the embedded AWS, out and in, on the clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.account import ROLE
from tests.local.metrics import next_minute
from tests.local.scalable_targets import CONCURRENT, COPIES, PER_INSTANCE, Target, minutes

Clients = Callable[[str], Any]
Later = Callable[[float], float]


def test_target_tracking_makes_its_alarms_and_takes_them_along(client: Clients, nowhere: Target) -> None:
    made = nowhere.track(PER_INSTANCE, 100.0)
    names = sorted(alarm["AlarmName"] for alarm in made["Alarms"])
    assert [name.rpartition("-Alarm")[0] for name in names] == [f"TargetTracking-{nowhere.identity['ResourceId']}"] * 2
    high, low = sorted(
        client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"], key=lambda alarm: alarm["AlarmName"]
    )
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (100, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"], low["Period"]) == (90, 15, 60)
    assert (high["ComparisonOperator"], low["ComparisonOperator"]) == ("GreaterThanThreshold", "LessThanThreshold")

    again = nowhere.track(PER_INSTANCE, 50.0, DisableScaleIn=True)
    assert [alarm["AlarmName"] for alarm in again["Alarms"]] == [high["AlarmName"]]
    (policy,) = nowhere.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["Alarms"] == again["Alarms"]

    nowhere.deregister()
    assert client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"] == []


def test_a_high_resolution_metric_scales_out_in_half_a_minute(target: Any, eventually: Any, later: Later) -> None:
    one = target()
    next_minute(later)
    one.track(CONCURRENT, 5.0)
    for _ in range(3):
        one.report("ConcurrentRequestsPerModel", 10)
        later(10)
    eventually(lambda: one.count == 2)
    assert "AlarmHigh" in one.activities()[0]["Cause"]


def test_target_tracking_follows_load_out_and_in(target: Any, settled: Any, eventually: Any, later: Later) -> None:
    one = target()
    next_minute(later)
    one.track(PER_INSTANCE, 100.0, ScaleInCooldown=60, ScaleOutCooldown=60)
    minutes(one, later, "InvocationsPerInstance", 250, 250, 250)
    eventually(lambda: one.count == 3)
    assert "AlarmHigh" in one.activities()[0]["Cause"]

    minutes(one, later, "InvocationsPerInstance", *([40] * 15))
    eventually(lambda: one.count == 2)
    settled(one.name)
    later(20)
    newest = one.activities()[0]
    assert "AlarmLow" in newest["Cause"]
    assert newest["Cause"].endswith("in state ALARM triggered policy track")
    assert newest["StatusCode"] == "Successful"


def test_a_policy_does_not_scale_in_while_another_would_not(target: Any, later: Later, settled: Any) -> None:
    one = target(count=2)
    next_minute(later)
    one.track(PER_INSTANCE, 100.0)
    customized = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Own",
        "Dimensions": [{"Name": "EndpointName", "Value": one.name}, {"Name": "VariantName", "Value": "Main"}],
        "Statistic": "Average",
    }
    one.track(customized, 10.0, "other")
    for _ in range(16):
        one.report("InvocationsPerInstance", 1)
        one.report("Own", 9.5)
        later(60)
    settled(one.name)
    assert one.count == 2


def test_steps_go_by_how_far_the_alarm_is_beyond_its_threshold(
    target: Any, alarm_of: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target()
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 3},
    ]
    next_minute(later)
    name = alarm_of(one, one.step(steps=steps))
    minutes(one, later, "Invocations", 12)
    eventually(lambda: one.count == 2)
    settled(one.name)
    # The larger step within the cool-down is reckoned from the capacity before it.
    minutes(one, later, "Invocations", 40)
    eventually(lambda: one.count == 4)
    assert one.activities()[0]["Cause"] == f"monitor alarm {name} in state ALARM triggered policy step"


def test_an_alarm_that_stays_on_calls_its_policy_every_minute_up_to_the_maximum(
    target: Any, alarm_of: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target(1, 3)
    next_minute(later)
    alarm_of(one, one.step(Cooldown=0))
    minutes(one, later, "Invocations", 12, 12)
    eventually(lambda: one.count == 3)
    settled(one.name)
    minutes(one, later, "Invocations", 12, 12)
    held = [activity for activity in one.activities(all_of_them=True) if "NotScaledReasons" in activity]
    assert [activity["NotScaledReasons"] for activity in held] == [
        [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3, "CurrentCapacity": 3}]
    ]
    assert len(one.activities()) == 2


def test_what_is_suspended_does_not_act(target: Any, alarm_of: Any, settled: Any, later: Later) -> None:
    one = target(SuspendedState={"DynamicScalingOutSuspended": True})
    next_minute(later)
    alarm_of(one, one.step())
    minutes(one, later, "Invocations", 12)
    settled(one.name)
    assert one.count == 1
    (described,) = one.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[one.identity["ResourceId"]]
    )["ScalableTargets"]
    assert described["SuspendedState"] == {
        "DynamicScalingInSuspended": False,
        "DynamicScalingOutSuspended": True,
        "ScheduledScalingSuspended": False,
    }


def test_an_endpoint_that_changes_is_scaled_when_it_is_in_service_again(
    client: Clients, config_of: Any, target: Any, alarm_of: Any, eventually: Any, later: Later
) -> None:
    one = target()
    slow = {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "WaitIntervalInSeconds": 300,
            "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
        },
        "TerminationWaitInSeconds": 0,
    }
    next_minute(later)
    alarm_of(one, one.step())
    client("sagemaker").update_endpoint(
        EndpointName=one.name,
        EndpointConfigName=config_of(InitialInstanceCount=2),
        DeploymentConfig={"BlueGreenUpdatePolicy": slow},
    )
    minutes(one, later, "Invocations", 12)
    described = client("sagemaker").describe_endpoint(EndpointName=one.name)
    assert described["EndpointStatus"] == "Updating"
    assert one.activities() == []

    def grown() -> bool:
        minutes(one, later, "Invocations", 12)
        return bool(one.count == 3)

    eventually(grown)


def test_capacity_that_there_is_not_leaves_the_activity_unfulfilled(
    target: Any, alarm_of: Any, wrong: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target()
    next_minute(later)
    alarm_of(one, one.step())
    wrong(short={"ml.m5.large": 1})
    minutes(one, later, "Invocations", 12)
    eventually(one.activities)
    settled(one.name)
    later(20)
    oldest = one.activities()[-1]
    assert oldest["StatusCode"] == "Unfulfilled"
    assert "Unable to provision requested ML compute capacity" in oldest["StatusMessage"]
    assert one.count == 1


def test_a_policy_that_cannot_act_is_refused(nowhere: Target, code_of: Any) -> None:
    def message(operation: Callable[..., Any], **arguments: Any) -> str:
        return str(code_of(operation, **arguments).message)

    nowhere.track(PER_INSTANCE, 10.0)
    assert "Only one TargetTrackingScaling policy" in message(
        nowhere.track, metric=PER_INSTANCE, value=20.0, name="second"
    )
    other = "SageMakerInferenceComponentInvocationsPerCopy"
    assert f"The predefined metric type {other} is not for" in message(nowhere.track, metric=other, value=1.0, name="b")
    gap = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 5, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 6, "ScalingAdjustment": 2},
    ]
    assert "gaps or overlaps" in message(nowhere.step, steps=gap)
    assert "its type cannot be changed" in message(nowhere.step, name="track")


def test_a_component_wakes_from_zero_by_its_failures(
    client: Clients,
    config_of: Any,
    endpoint_of: Any,
    model_of: Any,
    eventually: Any,
    alarm_of: Any,
    ask: Any,
    later: Later,
) -> None:
    sagemaker = client("sagemaker")
    config = f"config-{uuid.uuid4().hex[:8]}"
    managed = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 1}
    variant = {"VariantName": "Main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=config,
        ExecutionRoleArn=ROLE,
        ProductionVariants=[variant | {"ManagedInstanceScaling": managed}],
    )
    endpoint, name = endpoint_of(config), f"component-{uuid.uuid4().hex[:8]}"
    needs = {"MinMemoryRequiredInMb": 4096, "NumberOfCpuCoresRequired": 1}
    sagemaker.create_inference_component(
        InferenceComponentName=name,
        EndpointName=endpoint,
        VariantName="Main",
        Specification={"ModelName": model_of(), "ComputeResourceRequirements": needs},
        RuntimeConfig={"CopyCount": 1},
    )

    def copies() -> tuple[str, int]:
        described = sagemaker.describe_inference_component(InferenceComponentName=name)
        return described["InferenceComponentStatus"], described["RuntimeConfig"]["CurrentCopyCount"]

    eventually(lambda: copies() == ("InService", 1))
    one = Target(client, f"inference-component/{name}", COPIES)
    try:
        one.register(0, 0)
        eventually(lambda: copies() == ("InService", 0))
        one.register(0, 2)
        next_minute(later)
        alarm_of(
            one,
            one.step("wake"),
            MetricName="NoCapacityInvocationFailures",
            Dimensions=[{"Name": "InferenceComponentName", "Value": name}],
            Threshold=1,
        )
        with pytest.raises(ClientError):
            ask(endpoint, InferenceComponentName=name)
        later(60)
        eventually(lambda: copies() == ("InService", 1))
        assert one.activities()[0]["Description"] == "Setting desired copy count to 1."
        ask(endpoint, InferenceComponentName=name)
    finally:
        sagemaker.delete_inference_component(InferenceComponentName=name)
        eventually(lambda: not sagemaker.list_inference_components(NameContains=name)["InferenceComponents"])
