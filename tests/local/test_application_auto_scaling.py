"""Application Auto Scaling in the embedded AWS: policies and schedules move endpoints and components, on the clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws

Clients = Callable[[str], Any]
Later = Callable[[float], float]

_COUNT = "sagemaker:variant:DesiredInstanceCount"
_COPIES = "sagemaker:inference-component:DesiredCopyCount"
_PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"
_CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


@pytest.fixture(scope="module")
def moments() -> ModuleType:
    """When schedules are due: it needs nothing of the server's environment."""
    import neuron_cdk.local.server.moments as moments

    return moments


class _Target:
    """A scalable target: an endpoint's variant Main, or a component."""

    def __init__(self, client: Clients, resource: str, dimension: str = _COUNT) -> None:
        self._client = client
        self.scaling = client("application-autoscaling")
        self.name = resource.split("/")[1]
        self.identity = {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": dimension}

    def register(self, least: int, most: int, **more: Any) -> None:
        self.scaling.register_scalable_target(**self.identity, MinCapacity=least, MaxCapacity=most, **more)

    def deregister(self) -> None:
        self.scaling.deregister_scalable_target(**self.identity)

    def track(self, metric: str | dict[str, Any], value: float, name: str = "track", **more: Any) -> dict[str, Any]:
        specification = (
            {"PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
            if isinstance(metric, str)
            else {"CustomizedMetricSpecification": metric}
        )
        made: dict[str, Any] = self.scaling.put_scaling_policy(
            **self.identity,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": value} | specification | more,
        )
        return made

    def step(self, name: str = "step", *, steps: list[dict[str, Any]] | None = None, **more: Any) -> str:
        configuration = {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": steps or [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            "Cooldown": 60,
        }
        made = self.scaling.put_scaling_policy(
            **self.identity,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration=configuration | more,
        )
        return str(made["PolicyARN"])

    def schedule(self, name: str, expression: str, **limits: Any) -> None:
        self.scaling.put_scheduled_action(
            **self.identity, ScheduledActionName=name, Schedule=expression, ScalableTargetAction=limits
        )

    def report(self, metric: str, value: float, **more: Any) -> None:
        """Publish a metric of the variant now."""
        dimensions = {"EndpointName": self.name, "VariantName": "Main"}
        self._client("cloudwatch").put_metric_data(
            Namespace="AWS/SageMaker",
            MetricData=[
                {"MetricName": metric, "Value": value}
                | {"Dimensions": [{"Name": name, "Value": each} for name, each in dimensions.items()]}
                | more
            ],
        )

    def activities(self, *, all_of_them: bool = False) -> list[dict[str, Any]]:
        """Newest first."""
        found = self.scaling.describe_scaling_activities(**self.identity, IncludeNotScaledActivities=all_of_them)
        return list(found["ScalingActivities"])

    @property
    def count(self) -> int:
        described = self._client("sagemaker").describe_endpoint(EndpointName=self.name)
        return int(described["ProductionVariants"][0]["CurrentInstanceCount"])


@pytest.fixture
def target(client: Clients, config_of: Any, endpoint_of: Any) -> Iterator[Callable[..., _Target]]:
    """An endpoint in service whose variant is registered; deregistered after the test."""
    made: list[_Target] = []

    def make(least: int = 1, most: int = 4, *, count: int = 1, **more: Any) -> _Target:
        name = endpoint_of(config_of(InitialInstanceCount=count))
        one = _Target(client, f"endpoint/{name}/variant/Main")
        one.register(least, most, **more)
        made.append(one)
        return one

    yield make
    for one in made:
        with suppress(ClientError):
            one.deregister()


@pytest.fixture
def nowhere(client: Clients) -> Iterator[_Target]:
    """A target whose endpoint there is not."""
    one = _Target(client, f"endpoint/none-{uuid.uuid4().hex[:8]}/variant/Main")
    one.register(1, 4)
    yield one
    with suppress(ClientError):
        one.deregister()


@pytest.fixture
def alarm(client: Clients) -> Iterator[Callable[..., str]]:
    """An alarm on a variant's invocations that calls a policy; gone after the test."""
    made: list[str] = []

    def make(one: _Target, policy: str, **changes: Any) -> str:
        name = f"wake-{uuid.uuid4().hex[:8]}"
        dimensions = {"EndpointName": one.name, "VariantName": "Main"}
        request = {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocations",
            "Dimensions": [{"Name": each, "Value": value} for each, value in dimensions.items()],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 10,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        }
        client("cloudwatch").put_metric_alarm(AlarmName=name, AlarmActions=[policy], **(request | changes))
        made.append(name)
        return name

    yield make
    client("cloudwatch").delete_alarms(AlarmNames=made)


def _minute(later: Later) -> None:
    later(60 - later(0) % 60 + 0.5)


def _minutes(one: _Target, later: Later, metric: str, *values: float) -> None:
    """Publish a value in each minute that passes."""
    for value in values:
        one.report(metric, value)
        later(60)


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


def test_target_tracking_makes_its_alarms_and_takes_them_along(client: Clients, nowhere: _Target) -> None:
    made = nowhere.track(_PER_INSTANCE, 100.0)
    names = sorted(alarm["AlarmName"] for alarm in made["Alarms"])
    assert [name.rpartition("-Alarm")[0] for name in names] == [f"TargetTracking-{nowhere.identity['ResourceId']}"] * 2
    high, low = sorted(
        client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"], key=lambda alarm: alarm["AlarmName"]
    )
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (100, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"], low["Period"]) == (90, 15, 60)
    assert (high["ComparisonOperator"], low["ComparisonOperator"]) == ("GreaterThanThreshold", "LessThanThreshold")

    again = nowhere.track(_PER_INSTANCE, 50.0, DisableScaleIn=True)
    assert [alarm["AlarmName"] for alarm in again["Alarms"]] == [high["AlarmName"]]
    (policy,) = nowhere.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["Alarms"] == again["Alarms"]

    nowhere.deregister()
    assert client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"] == []


def test_a_high_resolution_metric_scales_out_in_half_a_minute(target: Any, eventually: Any, later: Later) -> None:
    one = target()
    _minute(later)
    one.track(_CONCURRENT, 5.0)
    for _ in range(3):
        one.report("ConcurrentRequestsPerModel", 10)
        later(10)
    eventually(lambda: one.count == 2)
    assert "AlarmHigh" in one.activities()[0]["Cause"]


def test_target_tracking_follows_load_out_and_in(target: Any, settled: Any, eventually: Any, later: Later) -> None:
    one = target()
    _minute(later)
    one.track(_PER_INSTANCE, 100.0, ScaleInCooldown=60, ScaleOutCooldown=60)
    _minutes(one, later, "InvocationsPerInstance", 250, 250, 250)
    eventually(lambda: one.count == 3)
    assert "AlarmHigh" in one.activities()[0]["Cause"]

    _minutes(one, later, "InvocationsPerInstance", *([40] * 15))
    eventually(lambda: one.count == 2)
    settled(one.name)
    later(20)
    newest = one.activities()[0]
    assert "AlarmLow" in newest["Cause"]
    assert newest["Cause"].endswith("in state ALARM triggered policy track")
    assert newest["StatusCode"] == "Successful"


def test_a_policy_does_not_scale_in_while_another_would_not(target: Any, later: Later, settled: Any) -> None:
    one = target(count=2)
    _minute(later)
    one.track(_PER_INSTANCE, 100.0)
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
    target: Any, alarm: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target()
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 3},
    ]
    _minute(later)
    name = alarm(one, one.step(steps=steps))
    _minutes(one, later, "Invocations", 12)
    eventually(lambda: one.count == 2)
    settled(one.name)
    # The larger step within the cool-down is reckoned from the capacity before it.
    _minutes(one, later, "Invocations", 40)
    eventually(lambda: one.count == 4)
    assert one.activities()[0]["Cause"] == f"monitor alarm {name} in state ALARM triggered policy step"


def test_an_alarm_that_stays_on_calls_its_policy_every_minute_up_to_the_maximum(
    target: Any, alarm: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target(1, 3)
    _minute(later)
    alarm(one, one.step(Cooldown=0))
    _minutes(one, later, "Invocations", 12, 12)
    eventually(lambda: one.count == 3)
    settled(one.name)
    _minutes(one, later, "Invocations", 12, 12)
    held = [activity for activity in one.activities(all_of_them=True) if "NotScaledReasons" in activity]
    assert [activity["NotScaledReasons"] for activity in held] == [
        [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3, "CurrentCapacity": 3}]
    ]
    assert len(one.activities()) == 2


def test_what_is_suspended_does_not_act(target: Any, alarm: Any, settled: Any, later: Later) -> None:
    one = target(SuspendedState={"DynamicScalingOutSuspended": True})
    _minute(later)
    alarm(one, one.step())
    _minutes(one, later, "Invocations", 12)
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
    client: Clients, config_of: Any, target: Any, alarm: Any, eventually: Any, later: Later
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
    _minute(later)
    alarm(one, one.step())
    client("sagemaker").update_endpoint(
        EndpointName=one.name,
        EndpointConfigName=config_of(InitialInstanceCount=2),
        DeploymentConfig={"BlueGreenUpdatePolicy": slow},
    )
    _minutes(one, later, "Invocations", 12)
    described = client("sagemaker").describe_endpoint(EndpointName=one.name)
    assert described["EndpointStatus"] == "Updating"
    assert one.activities() == []

    def grown() -> bool:
        _minutes(one, later, "Invocations", 12)
        return bool(one.count == 3)

    eventually(grown)


def test_capacity_that_there_is_not_leaves_the_activity_unfulfilled(
    target: Any, alarm: Any, wrong: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target()
    _minute(later)
    alarm(one, one.step())
    wrong(short={"ml.m5.large": 1})
    _minutes(one, later, "Invocations", 12)
    eventually(one.activities)
    settled(one.name)
    later(20)
    oldest = one.activities()[-1]
    assert oldest["StatusCode"] == "Unfulfilled"
    assert "Unable to provision requested ML compute capacity" in oldest["StatusMessage"]
    assert one.count == 1


def test_a_schedule_changes_the_limits_and_the_size_follows(
    target: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target()
    now = later(0)
    at = datetime.fromtimestamp(now + 600, UTC).strftime("at(%Y-%m-%dT%H:%M:%S)")
    one.schedule("up", at, MinCapacity=2, MaxCapacity=3)
    later(599)
    assert one.count == 1
    later(2)
    eventually(lambda: one.count == 2)
    settled(one.name)
    causes = [activity["Cause"] for activity in one.activities()]
    assert causes == ["minimum capacity was set to 2", "scheduled action name up was triggered"]
    assert one.activities()[1]["StatusMessage"] == "Successfully set min capacity to 2 and max capacity to 3"
    (described,) = one.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[one.identity["ResourceId"]]
    )["ScalableTargets"]
    assert (described["MinCapacity"], described["MaxCapacity"]) == (2, 3)


def test_scheduled_actions_are_described_and_deleted_with_their_target(nowhere: _Target, code_of: Any) -> None:
    nowhere.schedule("morning", "cron(0 8 ? * MON-FRI *)", MinCapacity=2)
    nowhere.schedule("often", "rate(2 hours)", MaxCapacity=3)
    found = nowhere.scaling.describe_scheduled_actions(**nowhere.identity)["ScheduledActions"]
    assert {action["ScheduledActionName"]: action["Schedule"] for action in found} == {
        "morning": "cron(0 8 ? * MON-FRI *)",
        "often": "rate(2 hours)",
    }
    nowhere.scaling.delete_scheduled_action(**nowhere.identity, ScheduledActionName="often")
    nowhere.deregister()
    assert nowhere.scaling.describe_scheduled_actions(**nowhere.identity)["ScheduledActions"] == []


@pytest.mark.parametrize(
    ("schedule", "following"),
    [
        ("cron(0 8 ? * MON-FRI *)", "2026-11-27T08:00"),
        ("cron(0 8 ? * 2-6 *)", "2026-11-27T08:00"),
        ("cron(30 9 1 * ? *)", "2026-12-01T09:30"),
        ("cron(0 0 1 1 ? 2028)", "2028-01-01T00:00"),
        ("cron(0 0 1 1 ? 2025)", None),
        ("cron(0/15 * * * ? *)", "2026-11-26T20:15"),
        ("rate(2 hours)", "2026-11-26T22:10"),
        ("at(2026-12-24T18:00:00)", "2026-12-24T18:00"),
        ("at(2026-11-24T18:00:00)", None),
    ],
)
def test_when_a_schedule_is_due(moments: ModuleType, schedule: str, following: str | None) -> None:
    thursday = datetime(2026, 11, 26, 20, 10, tzinfo=UTC)
    found = moments.following(schedule, thursday.timestamp())
    expected = None if following is None else datetime.fromisoformat(following).replace(tzinfo=UTC).timestamp()
    assert found == expected


@pytest.mark.parametrize(
    "schedule", ["cron(0 8 * * MON *)", "cron(0 8 * * *)", "cron(0 8 L * ? *)", "rate(0 hours)", "rate(2 weeks)", "now"]
)
def test_a_schedule_that_is_none_is_refused(nowhere: _Target, code_of: Any, schedule: str) -> None:
    refused = code_of(
        nowhere.scaling.put_scheduled_action,
        **nowhere.identity,
        ScheduledActionName="wrong",
        Schedule=schedule,
        ScalableTargetAction={"MinCapacity": 1},
    )
    assert refused.code == "ValidationException"
    assert "Invalid schedule expression" in refused.message


@pytest.mark.parametrize(
    ("resource", "dimension", "reason"),
    [
        ("endpoint/one", _COUNT, "Unsupported resource ID endpoint/one"),
        ("inference-component/one", _COUNT, "Unsupported resource ID"),
        ("endpoint/one/variant/Main", _COPIES, "Unsupported resource ID"),
        ("endpoint/one/variant/Main", "ecs:service:DesiredCount", "Unsupported service namespace"),
        ("endpoint/one/variant/Main", "sagemaker:variant:DesiredProvisionedConcurrency", "not part of the embedded"),
    ],
)
def test_a_target_that_cannot_be_is_refused(
    client: Clients, code_of: Any, resource: str, dimension: str, reason: str
) -> None:
    refused = code_of(_Target(client, resource, dimension).register, least=1, most=2)
    assert refused.code == "ValidationException"
    assert reason in refused.message


def test_a_policy_that_cannot_act_is_refused(nowhere: _Target, code_of: Any) -> None:
    def message(operation: Callable[..., Any], **arguments: Any) -> str:
        return str(code_of(operation, **arguments).message)

    nowhere.track(_PER_INSTANCE, 10.0)
    assert "Only one TargetTrackingScaling policy" in message(
        nowhere.track, metric=_PER_INSTANCE, value=20.0, name="second"
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
    alarm: Any,
    ask: Any,
    later: Later,
) -> None:
    sagemaker = client("sagemaker")
    config = f"config-{uuid.uuid4().hex[:8]}"
    managed = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 1}
    variant = {"VariantName": "Main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=config,
        ExecutionRoleArn="arn:aws:iam::000000000000:role/neuron",
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
    one = _Target(client, f"inference-component/{name}", _COPIES)
    try:
        one.register(0, 0)
        eventually(lambda: copies() == ("InService", 0))
        one.register(0, 2)
        _minute(later)
        alarm(
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


def test_a_stack_puts_and_removes_a_targets_scheduled_actions(client: Clients, operate: Callable[..., str]) -> None:
    identity = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/of-stack/variant/Main"}

    def template(*names: str) -> dict[str, Any]:
        actions = [
            {
                "ScheduledActionName": name,
                "Schedule": "cron(0 8 ? * MON-FRI *)",
                "ScalableTargetAction": {"MinCapacity": "2"},
            }
            for name in names
        ]
        properties = identity | {"ScalableDimension": _COUNT, "MinCapacity": 1, "MaxCapacity": 4}
        return {
            "Target": {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Properties": properties | {"ScheduledActions": actions},
            }
        }

    def names() -> list[str]:
        found = client("application-autoscaling").describe_scheduled_actions(**identity)["ScheduledActions"]
        return sorted(action["ScheduledActionName"] for action in found)

    assert operate("create", "scheduled", template("one", "two")) == "CREATE_COMPLETE"
    assert names() == ["one", "two"]
    assert operate("update", "scheduled", template("two")) == "UPDATE_COMPLETE"
    assert names() == ["two"]
    assert operate("delete", "scheduled") == "DELETE_COMPLETE"
    assert names() == []


def test_targets_policies_and_schedules_outlive_the_server(
    own_aws: EmbeddedAws, clients_of: Callable[[EmbeddedAws], Clients]
) -> None:
    own_aws.up()
    one = _Target(clients_of(own_aws), "endpoint/none/variant/Main")
    one.register(1, 4)
    policy = one.track(_PER_INSTANCE, 10.0)
    one.schedule("up", "rate(10 minutes)", MinCapacity=2)
    own_aws.down()
    own_aws.up()

    own_aws.set_clock(advance_s=660)
    one = _Target(clients_of(own_aws), "endpoint/none/variant/Main")
    (found,) = one.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert found["Alarms"] == policy["Alarms"]
    (registered,) = one.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert registered["MinCapacity"] == 2
    assert [activity["Cause"] for activity in one.activities()] == ["scheduled action name up was triggered"]
