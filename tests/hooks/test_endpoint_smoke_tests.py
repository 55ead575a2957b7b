"""An endpoint's hook asks what is served, and believes answers that come, and come in time."""

from __future__ import annotations

import pytest

from tests.hooks.endpoint_world import INF2, TRACK, Deployment, model_error, smoke, step, target


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
