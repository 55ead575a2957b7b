"""An endpoint's hook from request to answer: what it makes way for, believes, asks, registers and remembers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import INF2, KEY, NIGHT, RESOURCE, TRACK, TRN1, Deployment, smoke, step, target
from tests.hooks.fleet_aws import error

Load = Callable[[str], ModuleType]
MAIN = f"{RESOURCE}Main"
ROOT = Path(__file__).resolve().parents[2] / "lambda"


@pytest.fixture
def stack(load: Load, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    return Deployment(load, monkeypatch)


def model_error(status: int = 500, said: str = "no such graph") -> ClientError:
    answer = {"Error": {"Code": "ModelError", "Message": "Received server error (500)"}, "OriginalStatusCode": status}
    return ClientError({**answer, "OriginalMessage": said}, "InvokeEndpoint")


# -- Behind: compare -------------------------------------------------------------------------------------------------


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


# -- Behind: ask -----------------------------------------------------------------------------------------------------


def test_every_variant_is_asked_by_its_name(stack: Deployment) -> None:
    tests = [smoke("Main"), smoke("Candidate")]
    stack.create(stack.declared(1, variants={"Main": INF2, "Candidate": INF2}, tests=tests))
    assert [one["TargetVariant"] for one in stack.aws.asked] == ["Main", "Candidate"]
    assert stack.aws.asked[0]["Body"] == b'{"inputs": "hello"}'


def test_a_component_is_asked_by_its_name(stack: Deployment) -> None:
    stack.create(stack.declared(1, components={"mini-1": 1}, tests=[smoke(None, "mini-1")]))
    assert [one["InferenceComponentName"] for one in stack.aws.asked] == ["mini-1"]
    assert "TargetVariant" not in stack.aws.asked[0]


def test_a_component_that_sleeps_is_woken_to_be_asked(stack: Deployment) -> None:
    answer = stack.create(stack.declared(1, components={"mini-1": 0}, tests=[smoke(None, "mini-1")]))
    assert answer["Status"] == "SUCCESS"
    assert stack.aws.components["mini-1"]["copies"] == 1


def test_a_component_without_capacity_to_wake_fails(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.aws, "update_inference_component_runtime_config", lambda **_: None)
    answer = stack.create(stack.declared(1, components={"mini-1": 0}, tests=[smoke(None, "mini-1")]))
    assert "component mini-1 has no copy to test" in answer["Reason"]


def test_an_error_of_the_container_fails_with_what_it_said(stack: Deployment) -> None:
    stack.aws.answers = [model_error()] * 3
    answer = stack.create(stack.declared(1, target("Main", TRACK), tests=[smoke()]))
    assert answer["Status"] == "FAILED"
    assert "the smoke test of variant Main failed: 500: no such graph" in answer["Reason"]
    assert not stack.aws.targets, "what does not work is not scaled"


def test_a_container_that_answers_only_after_a_moment_is_good(stack: Deployment) -> None:
    stack.aws.answers = [model_error(503, "loading")]
    assert stack.create(stack.declared(1, tests=[smoke()]))["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [([9.0, 0.5], 2), ([9.0, 3.0, 3.0, 1.0], 4)],
    ids=["the first after the warm-up", "the third"],
)
def test_the_best_call_after_the_first_counts(stack: Deployment, seconds: list[float], calls: int) -> None:
    stack.aws.answers = list(seconds)
    answer = stack.create(stack.declared(1, tests=[smoke(max_latency_ms=2000)]))
    assert answer["Status"] == "SUCCESS"
    assert len(stack.aws.asked) == calls
    assert answer["Data"]["Measured"] == f"variant Main: {min(seconds[1:]) * 1000:.0f} ms"


def test_an_answer_that_is_too_slow_fails_with_the_measured_time(stack: Deployment) -> None:
    stack.aws.answers = [0.1, 2.5, 2.3, 2.4]
    answer = stack.create(stack.declared(1, tests=[smoke(max_latency_ms=2000)]))
    assert "took 2300 ms at best (measured: 2500, 2300, 2400), more than max_latency_ms, 2000" in answer["Reason"]


def test_what_was_tested_is_not_asked_again_on_the_way_back(stack: Deployment) -> None:
    one, two = stack.declared(1, tests=[smoke()]), stack.declared(2, tests=[smoke()])
    stack.create(one)
    stack.aws.answers = [model_error()] * 4
    assert stack.update(two, one)["Status"] == "FAILED"
    assert stack.update(one, two)["Status"] == "SUCCESS", "an old version that fails too would leave the stack stuck"


def test_another_question_is_asked_though_the_version_is_the_same(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.create(one)
    stack.update(stack.declared(1, tests=[smoke()]), one)
    assert len(stack.aws.asked) == 1


def test_a_queue_is_asked_by_way_of_s3_and_leaves_no_request(stack: Deployment) -> None:
    answer = stack.create(stack.declared(1, tests=[smoke(None, mode="async")], queue=True))
    assert answer["Status"] == "SUCCESS"
    assert stack.aws.asked[0]["InputLocation"].startswith("s3://queue/smoke/")
    assert not [name for name in stack.aws.objects if "/smoke/" in name]


def test_an_error_of_a_queued_request_fails_with_what_it_left(stack: Deployment) -> None:
    stack.aws.queue = [None, None, None]
    answer = stack.create(stack.declared(1, tests=[smoke(None, mode="async")], queue=True))
    assert "the smoke test of variant Main failed: out of memory" in answer["Reason"]


def test_a_queue_without_instances_is_woken(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", step("wake"), least=0), tests=[smoke(None, mode="async")], queue=True)
    stack.create(one)
    stack.aws.instances["Main"] = 0
    two = stack.declared(2, target("Main", step("wake"), least=0), tests=[smoke(None, mode="async")], queue=True)
    assert stack.update(two, one)["Status"] == "SUCCESS"
    assert stack.aws.instances["Main"] == 1


# -- Behind: scaling -------------------------------------------------------------------------------------------------


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


# -- Before ----------------------------------------------------------------------------------------------------------


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


# -- Back ------------------------------------------------------------------------------------------------------------


def changed(stack: Deployment) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Version 1 scales; version 2 has another type, and version 1 has made way for it. And the state with version 1."""
    one = stack.declared(1, target("Main", TRACK, step("grow"), schedules=[NIGHT]))
    stack.create(one)
    before = stack.aws.state()
    two = stack.declared(2, target("Main", TRACK), variants={"Main": TRN1})
    stack.send("Change", "Update", two, one)
    assert not stack.aws.targets
    return one, two, before


def test_a_roll_back_of_the_endpoint_brings_scaling_back(stack: Deployment) -> None:
    _, _, before = changed(stack)
    stack.aws.roll_back("the alarm was raised")
    stack.event()
    assert stack.aws.state() | {"items": {}} == before | {"items": {}}


def test_an_event_before_the_update_begins_registers_nothing(stack: Deployment) -> None:
    one, _, _ = changed(stack)
    stack.event()
    assert not stack.aws.targets, "SageMaker would refuse the update"
    assert one


def test_an_event_while_the_change_waits_registers_nothing(stack: Deployment) -> None:
    one = stack.declared(1, target("Main", TRACK))
    stack.create(one)
    two = stack.declared(2, target("Main", TRACK), variants={"Main": TRN1})
    stack.aws.become("Updating")

    def settled() -> None:
        stack.aws.become("InService")
        stack.event()

    stack.aws.after(30, settled)
    stack.send("Change", "Update", two, one)
    stack.event()
    assert not stack.aws.targets


def test_the_stacks_way_back_brings_scaling_back_though_the_update_never_began(stack: Deployment) -> None:
    one, two, before = changed(stack)
    stack.send("Change", "Update", one, two)
    assert stack.aws.state() == before


def test_the_stacks_way_back_from_a_bad_version_brings_scaling_back(stack: Deployment) -> None:
    one, two, before = changed(stack)
    stack.aws.serve("c2")
    stack.aws.model("m2", "another")
    assert stack.send("InService", "Update", two, one)["Status"] == "FAILED"
    assert stack.send("Change", "Update", one, two)["Status"] == "SUCCESS"
    stack.event()
    assert not stack.aws.targets, "the way back has not begun"
    stack.aws.serve("c1")
    stack.event()
    assert set(stack.aws.targets) == {MAIN}
    assert stack.send("InService", "Update", one, two)["Status"] == "SUCCESS"
    assert stack.aws.state() == before


def test_what_a_failed_version_had_registered_goes_on_the_way_back(
    stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scales(name: str) -> dict[str, Any]:
        return target(name, step("wake"), resource="component")

    one = stack.declared(1, scales("mini-1"), components={"mini-1": 1})
    stack.create(one)
    two = stack.declared(2, scales("mini-1"), scales("mini-2"), components={"mini-1": 1, "mini-2": 1})
    with monkeypatch.context() as patched:

        def refused(**_: Any) -> None:
            raise error("AccessDeniedException", "UpdateItem")

        patched.setattr(stack.aws, "update_item", refused)
        assert stack.update(two, one)["Status"] == "FAILED"
    assert set(stack.aws.alarms) == {"mini-1-wake", "mini-2-wake"}
    stack.declared(1, scales("mini-1"), components={"mini-1": 1})
    assert stack.update(one, two)["Status"] == "SUCCESS"
    assert set(stack.aws.targets) == {"inference-component/mini-1"}
    assert set(stack.aws.alarms) == {"mini-1-wake"}


def test_an_event_of_a_version_that_is_not_verified_yet_registers_nothing(stack: Deployment) -> None:
    changed(stack)
    stack.aws.serve("c2")
    stack.event()
    assert not stack.aws.targets


def test_an_event_leaves_what_is_registered_as_a_schedule_set_it(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("Main", TRACK, schedules=[NIGHT])))
    stack.aws.targets[MAIN] |= {"MinCapacity": 2, "MaxCapacity": 2}
    stack.event()
    assert stack.aws.targets[MAIN]["MaxCapacity"] == 2


def test_an_event_mends_a_target_that_lacks_its_alarm(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("Main", step("grow"))))
    stack.aws.alarms.clear()
    stack.event()
    assert set(stack.aws.alarms) == {f"{NAME}-grow"}


def test_an_event_of_an_endpoint_that_nobody_remembers_does_nothing(stack: Deployment) -> None:
    stack.declared(1)
    stack.aws.serve("c1")
    stack.event()
    assert not stack.aws.targets


@pytest.mark.parametrize("what", ["deletion", "deploy", "change"])
def test_a_deploy_that_writes_while_an_event_registers_has_the_last_word(stack: Deployment, what: str) -> None:
    one = stack.declared(1, target("Main", step("grow")))
    stack.create(one)
    scaled = stack.declared(1, target("Main", TRACK))
    two = stack.declared(2, target("Main", step("grow")), variants={"Main": TRN1})
    stack.aws.alarms.clear()  # so that the event has something to do
    put, done = stack.aws.put_metric_alarm, list[int]()

    def meanwhile(**request: Any) -> None:
        if not done:
            done.append(1)
            if what == "deletion":
                stack.send("InService", "Delete", one)
            elif what == "deploy":
                stack.send("InService", "Update", scaled, one)
            else:
                stack.send("Change", "Update", two, one)
        put(**request)

    stack.aws.put_metric_alarm = meanwhile  # type: ignore[method-assign]
    stack.event()
    assert not stack.aws.alarms
    assert set(stack.aws.targets) == ({MAIN} if what == "deploy" else set())
    if what == "deploy":
        assert set(stack.aws.policies[MAIN]) == {"concurrent-requests"}


# -- The function ----------------------------------------------------------------------------------------------------


def test_what_may_pass_is_tried_again_before_cloudformation_is_told(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.fault, stack.aws.faulty = "throttled", 3
    assert stack.send("InService", "Create", one)["Status"] == "SUCCESS"


def test_what_does_not_pass_is_told_with_aws_own_words(stack: Deployment) -> None:
    one = stack.declared(1)
    stack.aws.serve("c1")
    stack.aws.describe_model = lambda **_: (_ for _ in ()).throw(error("AccessDeniedException", "DescribeModel", "no"))  # type: ignore[method-assign]
    answer = stack.send("InService", "Create", one)
    assert answer["Status"] == "FAILED"
    assert "AccessDeniedException" in answer["Reason"]


def test_a_failed_update_keeps_the_physical_id(stack: Deployment) -> None:
    one = stack.declared(1)
    assert stack.send("InService", "Update", one, one)["PhysicalResourceId"] == NAME


def test_a_declaration_that_cannot_be_read_is_told(stack: Deployment) -> None:
    answer = stack.create({**stack.declared(1), "Declaration": "{}"})
    assert "Declaration cannot be read (KeyError: 'variants')" in answer["Reason"]


def test_every_decision_is_a_line(stack: Deployment, decisions: Callable[[], list[dict[str, Any]]]) -> None:
    stack.create(stack.declared(1, target("Main", TRACK), tests=[smoke()]))
    assert [line["decision"] for line in decisions()] == [
        "nothing to change",
        "smoke test",
        "scaling settled",
        "in service",
    ]


def test_the_records_key_is_the_endpoints(stack: Deployment) -> None:
    stack.create(stack.declared(1))
    assert set(stack.aws.items) == {KEY}


def test_the_hook_imports_nothing_but_boto3_and_the_standard_library(environment: None) -> None:
    program = (
        "import sys, boto3; had = set(sys.modules); import neuron_hooks.endpoint_hook; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - had} - sys.stdlib_module_names - {'neuron_hooks'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "ENDPOINT_KEY": NAME},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []
