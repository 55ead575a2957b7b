"""An endpoint's hook registers the scaling that is declared, and takes away what no longer is."""

from __future__ import annotations

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import INF2, MAIN, NIGHT, TRACK, Deployment, step, target


def test_what_is_declared_is_registered(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("Main", TRACK, step("wake"), schedules=[NIGHT])))
    aws = stack.aws
    assert (aws.targets[MAIN]["MinCapacity"], aws.targets[MAIN]["MaxCapacity"]) == (1, 4)
    assert aws.targets[MAIN]["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert aws.policies[MAIN]["concurrent-requests"]["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 4,
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
        },
    }
    assert aws.policies[MAIN]["wake"]["StepScalingPolicyConfiguration"] == {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"ScalingAdjustment": 1, "MetricIntervalLowerBound": 0}],
        "Cooldown": 60,
    }
    alarm = aws.alarms[f"{NAME}-wake"]
    assert alarm["AlarmActions"] == [aws.policies[MAIN]["wake"]["PolicyARN"]]
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": NAME}]
    assert aws.schedules[MAIN]["schedule-0"]["Schedule"] == "cron(0 20 * * ? *)"


def test_a_component_scales_by_its_copies(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("mini-1", step("wake"), resource="component"), components={"mini-1": 1}))
    (id,) = stack.aws.targets
    assert id == "inference-component/mini-1"
    assert stack.aws.targets[id]["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert set(stack.aws.alarms) == {"mini-1-wake"}


def test_a_metric_of_its_own_is_tracked_as_given(stack: Deployment) -> None:
    metric = {"MetricName": "ApproximateBacklogSizePerInstance", "Namespace": "AWS/SageMaker", "Statistic": "Average"}
    stack.create(stack.declared(1, target("Main", {**TRACK, "metric": metric})))
    (policy,) = stack.aws.policies[MAIN].values()
    assert policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"] == metric


def test_what_is_no_longer_declared_goes(stack: Deployment) -> None:
    one = stack.declared(
        1,
        target("Main", TRACK, step("grow"), step("shrink", -1), schedules=[NIGHT]),
        target("Candidate"),
        variants={"Main": INF2, "Candidate": INF2},
    )
    stack.create(one)
    two = stack.declared(2, target("Main", step("grow", 2)), variants={"Main": INF2, "Candidate": INF2})
    assert stack.update(two, one)["Status"] == "SUCCESS"
    assert set(stack.aws.targets) == {MAIN}
    assert set(stack.aws.policies[MAIN]) == {"grow"}
    assert set(stack.aws.alarms) == {f"{NAME}-grow"}
    assert not stack.aws.schedules[MAIN]


def test_a_changed_policy_keeps_its_arn(stack: Deployment) -> None:
    one, two = stack.declared(1, target("Main", step("grow"))), stack.declared(2, target("Main", step("grow", 3)))
    stack.create(one)
    arn = stack.aws.policies[MAIN]["grow"]["PolicyARN"]
    stack.update(two, one)
    assert stack.aws.policies[MAIN]["grow"]["PolicyARN"] == arn


def test_a_target_that_a_declaration_left_and_somebody_deregistered_leaves_no_alarm(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", step("grow")))
    stack.create(one)
    for kept in (stack.aws.targets, stack.aws.policies, stack.aws.schedules):
        kept.pop(MAIN)
    stack.update(stack.declared(1), one)
    assert not stack.aws.alarms


def test_many_policies_come_in_pages(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", *(step(f"s{number}") for number in range(5))))
    stack.create(one)
    stack.update(stack.declared(2, target("Main", step("s0"))), one)
    assert set(stack.aws.policies[MAIN]) == {"s0"}


def test_deletion_deregisters_everything_and_forgets(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", TRACK, step("wake"), schedules=[NIGHT]))
    stack.create(one)
    assert stack.send("InService", "Delete", one)["Status"] == "SUCCESS"
    assert stack.send("Change", "Delete", one)["Status"] == "SUCCESS"
    assert [stack.aws.targets, stack.aws.alarms, stack.aws.items] == [{}, {}, {}]


def test_deletion_of_what_never_was_succeeds(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", step("wake")))
    assert stack.send("InService", "Delete", one)["Status"] == "SUCCESS"
    assert stack.send("InService", "Delete", {**one, "Declaration": "{"})["Status"] == "SUCCESS"
