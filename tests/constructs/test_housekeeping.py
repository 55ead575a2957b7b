"""Housekeeping's rights and schedules, the pipeline's alarms and metrics."""

from __future__ import annotations

import importlib
import json

import pytest
from aws_cdk import Duration

from neuron_cdk import ArtifactStore
from neuron_cdk.model.housekeeping import Housekeeping


@pytest.fixture(scope="session")
def rights(resources, statements):
    """What the hook may do, as {action: resources}."""
    (role,) = (
        role
        for key, role in resources("platform", "AWS::IAM::Role").items()
        if key.startswith("PipelineHousekeepingHookRole")
    )
    allowed: dict[str, list] = {}
    for statement in statements(role):
        for action in statement["Action"]:
            allowed.setdefault(action, []).extend(statement["Resource"])
    return allowed


@pytest.fixture(scope="session")
def alarms(resources):
    found = resources("platform", "AWS::CloudWatch::Alarm")
    return {alarm["MetricName"]: alarm for key, alarm in found.items() if key.startswith("PipelineAlarms")}


def test_it_deletes_artifacts_and_requests_and_nothing_else(rights):
    assert [arn["Fn::Join"][1][-1] for arn in rights["s3:DeleteObject"]] == ["/artifacts/*", "/requests/*"]


def test_it_cannot_delete_a_version_or_write_an_object(rights):
    """So thirty days of versions stand between its mistakes and a loss."""
    assert {action for action in rights if action.startswith("s3:")} == {"s3:DeleteObject", "s3:ListBucket"}


def test_it_starts_nothing(rights):
    assert {action.partition(":")[0] for action in rights} == {"dynamodb", "kms", "logs", "s3"}


def test_it_runs_every_quarter_of_an_hour_and_once_a_day(resources):
    rules = {
        key: rule for key, rule in resources("platform", "AWS::Events::Rule").items() if "ScheduleExpression" in rule
    }
    told = {rule["ScheduleExpression"]: json.loads(rule["Targets"][0]["Input"]) for rule in rules.values()}
    assert told == {"rate(15 minutes)": {"task": "watch"}, "rate(1 day)": {"task": "collect"}}
    assert {rule["State"] for rule in rules.values() if "State" in rule} <= {"ENABLED"}


def test_its_settings_are_those_the_hook_reads(resources):
    (function,) = (
        f for key, f in resources("platform", "AWS::Lambda::Function").items() if key.startswith("PipelineHousekeeping")
    )
    settings = importlib.import_module("neuron_hooks.settings")
    given = function["Environment"]["Variables"]
    assert {name.lower() for name in given} == set(settings.Housekeeping.__dataclass_fields__)
    assert (given["KEEP_DAYS"], given["GRACE_SECONDS"], function["Timeout"]) == ("30", "3600", 900)


@pytest.mark.parametrize("days", [0, -1])
def test_what_is_used_today_is_not_to_go_tomorrow(days, stack):
    with pytest.raises(ValueError, match=f"keep_days is {days}; it must be 1 or more"):
        Housekeeping(stack, "Housekeeping", store=ArtifactStore(stack, "Store"), keep_days=days)


@pytest.mark.parametrize(
    ("name", "statistic", "period", "missing"),
    [
        ("StuckLeases", "Maximum", 900, "missing"),
        ("Failures", "Sum", 300, "notBreaching"),
        ("DeployMisses", "Sum", 300, "notBreaching"),
        ("RuntimeMisses", "Maximum", 900, "notBreaching"),
    ],
)
def test_one_is_enough_for_an_alarm(name, statistic, period, missing, alarms):
    alarm = alarms[name]
    assert alarm["Namespace"] == "NeuronCdk/Models"
    assert "Dimensions" not in alarm
    assert (alarm["Statistic"], alarm["Period"]) == (statistic, period)
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == missing


def test_alarms_can_be_given_an_action_one_and_all(platform):
    alarms = list(platform.pipeline.alarms)
    assert len(alarms) == 4
    assert platform.pipeline.alarms.failures in alarms


def test_every_alarm_is_on_something_that_a_hook_measures(alarms, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    hooks = importlib.import_module("neuron_hooks.model_events")
    assert set(alarms) <= set(hooks.UNITS)


@pytest.mark.parametrize(
    ("method", "name", "statistic"),
    [
        ("metric_hits", "Hits", "Sum"),
        ("metric_misses", "Misses", "Sum"),
        ("metric_deploy_misses", "DeployMisses", "Sum"),
        ("metric_failures", "Failures", "Sum"),
        ("metric_remembered_failures", "RememberedFailures", "Sum"),
        ("metric_compile_minutes", "CompileMinutes", "Sum"),
        ("metric_compile_usd", "CompileUsd", "Sum"),
        ("metric_verification_max_error", "VerificationMaxError", "Maximum"),
        ("metric_released", "Released", "Sum"),
        ("metric_rolled_back", "RolledBack", "Sum"),
    ],
)
def test_a_metric_is_of_one_model_or_of_all(method, name, statistic, platform, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert name in importlib.import_module("neuron_hooks.model_events").UNITS
    of_all, of_one = getattr(platform.pipeline, method)(), getattr(platform.pipeline, method)("minilm")
    assert (of_all.namespace, of_all.metric_name, of_all.statistic) == ("NeuronCdk/Models", name, statistic)
    assert not of_all.dimensions
    assert of_one.dimensions == {"Model": "minilm"}


def test_the_hit_rate_is_hits_of_all_requests(platform):
    rate = platform.pipeline.metric_hit_rate("minilm")
    assert rate.expression == "FILL(hits, 0) / (FILL(hits, 0) + FILL(misses, 0))"
    assert {name: one.metric_name for name, one in rate.using_metrics.items()} == {"hits": "Hits", "misses": "Misses"}
    assert rate.period.to_seconds() == Duration.minutes(5).to_seconds()
