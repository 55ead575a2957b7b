"""How an endpoint moves to a new version, and what sends it back."""

from __future__ import annotations

import json

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Template

from neuron_cdk import CompiledModel, NeuronEndpoint, spec


@pytest.fixture(scope="session")
def updated(only):
    """The endpoint resource."""
    return lambda name: only(name, "AWS::SageMaker::Endpoint")


@pytest.fixture(scope="session")
def policy(updated):
    return lambda name: updated(name)["DeploymentConfig"]


def percent(value: int) -> dict[str, object]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def test_two_instances_are_updated_in_batches(policy):
    assert policy("inf2-endpoint") == {
        "RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 0}
    }


def test_one_instance_is_replaced_at_once(policy):
    assert policy("one-endpoint")["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"


def test_a_canary_waits_then_bakes(policy):
    assert policy("canary-endpoint") == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "CANARY", "CanarySize": percent(20), "WaitIntervalInSeconds": 600},
            "TerminationWaitInSeconds": 900,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "neuron-errors"}]},
    }


def test_linear_shares_have_a_limit(policy):
    assert policy("linear-endpoint") == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "LINEAR",
                "LinearStepSize": percent(25),
                "WaitIntervalInSeconds": 60,
            },
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 3600,
        }
    }


@pytest.mark.parametrize("name", ["variants-endpoint", "shadow-endpoint"])
def test_what_sagemaker_does_not_roll_is_replaced_at_once(policy, name):
    assert "BlueGreenUpdatePolicy" in policy(name)


def test_components_roll(policy):
    assert "RollingUpdatePolicy" in policy("components-endpoint")
    assert "RollingUpdatePolicy" in policy("sleeping-components")


@pytest.fixture
def on_inf1(app, platform, a_model):
    stack = Stack(app, "inf1", env=platform.env)
    old = a_model("inf1", "torch-neuron")
    NeuronEndpoint(
        stack,
        "Endpoint",
        vpc=platform.vpc,
        store=platform.store,
        model=CompiledModel(stack, "Model", pipeline=platform.pipeline, name="old", model=old),
        instance_types=["ml.inf1.xlarge"],
        size=spec.Range(min=2, max=2),
    )
    return Template.from_stack(stack)


def test_inf1_is_updated_at_once_without_policy_or_host_image(on_inf1):
    (endpoint,) = on_inf1.find_resources("AWS::SageMaker::Endpoint").values()
    (shape,) = on_inf1.find_resources("AWS::SageMaker::EndpointConfig").values()
    assert "DeploymentConfig" not in endpoint["Properties"]
    assert "InferenceAmiVersion" not in shape["Properties"]["ProductionVariants"][0]


# -- alarms --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def alarms(resources):
    return lambda name: resources(name, "AWS::CloudWatch::Alarm")


def test_alarms_watch_the_new_fleet_alone(alarms, template, updated):
    (configuration,) = template("rolling-endpoint").find_resources("AWS::SageMaker::EndpointConfig")
    expected = [
        {"Name": "EndpointName", "Value": updated("rolling-endpoint")["EndpointName"]},
        {"Name": "VariantName", "Value": "Main"},
        {"Name": "EndpointConfigName", "Value": {"Fn::GetAtt": [configuration, "EndpointConfigName"]}},
    ]
    found = [
        dimensions
        for alarm in alarms("rolling-endpoint").values()
        for dimensions in (
            [alarm["Dimensions"]]
            if "Dimensions" in alarm
            else [each["MetricStat"]["Metric"]["Dimensions"] for each in alarm["Metrics"] if "MetricStat" in each]
        )
    ]
    assert found == [expected] * 3


def test_the_endpoint_is_sent_back_by_its_alarms(alarms, policy):
    named = policy("rolling-endpoint")["AutoRollbackConfiguration"]["Alarms"]
    assert [each["AlarmName"]["Ref"] for each in named] == list(alarms("rolling-endpoint"))


def test_no_alarm_depends_on_the_endpoint(template, alarms):
    (endpoint,) = template("rolling-endpoint").find_resources("AWS::SageMaker::Endpoint")
    assert f'"{endpoint}"' not in json.dumps(alarms("rolling-endpoint"))


def test_latency_is_compared_in_microseconds(alarms):
    (latency,) = (each for each in alarms("rolling-endpoint").values() if each.get("MetricName") == "ModelLatency")
    assert (latency["Threshold"], latency["ExtendedStatistic"]) == (500_000, "p99")


def test_errors_are_a_share_of_the_requests(alarms):
    (errors,) = (each for each in alarms("rolling-endpoint").values() if "Metrics" in each)
    metrics = {each["Id"]: each for each in errors["Metrics"]}
    assert metrics["errors"]["MetricStat"]["Metric"]["MetricName"] == "Invocation5XXErrors"
    assert metrics["requests"]["MetricStat"]["Metric"]["MetricName"] == "Invocations"
    assert (metrics["rate"]["Expression"], metrics["rate"]["ReturnData"]) == ("errors / requests", True)
    assert errors["Threshold"] == 0.01


def test_a_minute_without_requests_breaches_nothing(alarms):
    assert {each["TreatMissingData"] for each in alarms("rolling-endpoint").values()} == {"notBreaching"}


def test_every_production_variant_is_watched(alarms):
    watched = json.dumps(alarms("variants-endpoint"))
    assert len(alarms("variants-endpoint")) == 4
    assert '"Value": "candidate"' in watched


def test_sagemaker_sees_the_alarms_in_the_endpoints_role(template):
    served = template("canary-endpoint")
    (resource,) = served.find_resources("AWS::SageMaker::Endpoint").values()
    policies = served.find_resources("AWS::IAM::Policy")
    (name,) = (name for name, each in policies.items() if "cloudwatch:DescribeAlarms" in json.dumps(each))
    assert ":alarm:neuron-errors" in json.dumps(policies[name])
    assert name in resource["DependsOn"]


# -- what an update keeps ------------------------------------------------------------------------------------------


def excluded(endpoint: dict) -> set[str]:
    return {each["VariantPropertyType"] for each in endpoint["ExcludeRetainedVariantProperties"]}


def test_where_nothing_scales_the_declared_count_counts(updated):
    endpoint = updated("inf2-endpoint")
    assert endpoint["RetainAllVariantProperties"] is True
    assert excluded(endpoint) == {"DesiredWeight", "DataCaptureConfig", "DesiredInstanceCount"}


@pytest.mark.parametrize("name", ["pools-endpoint", "sleeping-queue", "components-endpoint", "steps-endpoint"])
def test_where_something_scales_the_count_stays(updated, name):
    assert excluded(updated(name)) == {"DesiredWeight", "DataCaptureConfig"}


def test_the_name_is_the_stacks_and_in_small_letters(updated):
    name = updated("inf2-endpoint")["EndpointName"]
    assert name.startswith("inf2-endpoint-")
    assert name == name.lower()
    assert len(name) <= 63
