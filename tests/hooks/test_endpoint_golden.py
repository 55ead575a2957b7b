"""An endpoint's hook asks what is served the golden examples of its artifact, and believes right answers only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import INF2, TRN1, Deployment, model_error, smoke

RIGHT, WRONG = b'{"outputs": {"y": [[1.0, 2.0]]}}', b'{"outputs": {"y": [[1.0, 2.5]]}}'
EXAMPLE = {"inputs": {"x": [[7]]}, "outputs": {"y": [[1.0, 2.0]]}}


def artifact(stack: Deployment, version: int, *examples: Any, **more: Any) -> None:
    """The files of an artifact with these golden examples; with none, of one that has no such file."""
    where = f"s3://artifacts/artifacts/artifact{version}/a1/"
    document = {"tolerance": {"atol": 1e-5, "rtol": 0.02}, "examples": list(examples)}
    content = json.dumps(document).encode()
    stack.aws.objects[where + "golden.json"] = content
    files = [{"path": "batch-1.pt", "sha256": "0" * 64, "bytes": 1}]
    if examples:
        files.append({"path": "golden.json", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)})
    manifest = {"schema": 1, "artifact_key": f"artifact{version}", "compile_seconds": 1, "files": files, **more}
    stack.aws.objects[where + "manifest.json"] = json.dumps(manifest).encode()


def inputs(stack: Deployment) -> list[Any]:
    return [json.loads(request["Body"])["inputs"] for request in stack.aws.asked]


def test_a_right_answer_is_believed(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': RIGHT}
    assert stack.create(stack.declared(1))["Status"] == "SUCCESS"
    assert inputs(stack) == [{"x": [[7]]}]
    assert stack.aws.asked[0]["TargetVariant"] == "Main"


def test_a_wrong_answer_fails_with_what_was_asked_output_error_and_tolerance(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': WRONG}
    answer = stack.create(stack.declared(1))
    assert answer["Status"] == "FAILED"
    assert (
        "golden example 1 of variant Main is answered wrongly: output 'y' is 2.5 at [0, 1], expected 2: off by 0.5, "
        "more than 0.04 (atol 1e-05, rtol 0.02 of the largest value)" in answer["Reason"]
    )
    assert not stack.aws.items, "nothing is remembered as verified"


def test_every_example_is_asked_after_the_smoke_test(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE, EXAMPLE | {"inputs": {"x": [[8]]}})
    stack.aws.said = {b'{"x"': RIGHT}
    stack.create(stack.declared(1, tests=[smoke()]))
    assert inputs(stack) == ["hello", {"x": [[7]]}, {"x": [[8]]}]


def test_a_container_that_is_not_ready_yet_is_asked_again(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': RIGHT}
    stack.aws.answers = [model_error()]
    assert stack.create(stack.declared(1))["Status"] == "SUCCESS"
    assert len(stack.aws.asked) == 2


def test_an_artifact_without_examples_is_not_asked(stack: Deployment) -> None:
    artifact(stack, 1)
    assert stack.create(stack.declared(1))["Status"] == "SUCCESS"
    assert not stack.aws.asked


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda files, at: files.__setitem__(f"{at}golden.json", b"{}"), "golden.json does not have the sha256"),
        (lambda files, at: files.__setitem__(f"{at}manifest.json", b"{}"), "manifest.json cannot be read"),
    ],
    ids=["another file", "no manifest"],
)
def test_an_artifact_that_was_changed_fails(
    stack: Deployment, spoil: Callable[[dict[str, bytes], str], None], said: str
) -> None:
    artifact(stack, 1, EXAMPLE)
    spoil(stack.aws.objects, "s3://artifacts/artifacts/artifact1/a1/")
    answer = stack.create(stack.declared(1))
    assert answer["Status"] == "FAILED"
    assert f"artifact artifact1: {said}" in answer["Reason"]


def test_a_component_is_asked_by_name(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': WRONG}
    answer = stack.create(stack.declared(1, components={"mini-1": 1}))
    assert "golden example 1 of component mini-1 is answered wrongly" in answer["Reason"]
    assert stack.aws.asked[0]["InferenceComponentName"] == "mini-1"


def test_what_sleeps_and_has_no_smoke_test_is_left_asleep(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    assert stack.create(stack.declared(1, components={"mini-1": 0}))["Status"] == "SUCCESS"
    assert not stack.aws.asked
    assert stack.aws.components["mini-1"]["copies"] == 0


def test_what_its_smoke_test_woke_is_asked(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': WRONG}
    answer = stack.create(stack.declared(1, tests=[smoke(None, "mini-1")], components={"mini-1": 0}))
    assert "golden example 1 of component mini-1" in answer["Reason"]


def test_a_queue_is_asked_through_its_bucket(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': WRONG}
    answer = stack.create(stack.declared(1, queue=True))
    assert "golden example 1 of variant Main is answered wrongly: output 'y' is 2.5" in answer["Reason"]
    assert stack.aws.asked[0]["InputLocation"].startswith("s3://queue/smoke/")
    assert not stack.aws.state()["requests"], "what was sent is deleted"


def test_a_large_answer_of_a_queue_is_read_whole(stack: Deployment) -> None:
    values = [float(one) for one in range(5000)]
    artifact(stack, 1, {"inputs": {"x": [[7]]}, "outputs": {"y": values}})
    stack.aws.said = {b'{"x"': json.dumps({"outputs": {"y": values}}).encode()}
    assert stack.create(stack.declared(1, queue=True))["Status"] == "SUCCESS"


def test_pools_that_serve_several_artifacts_are_not_asked(stack: Deployment) -> None:
    """Which of them answers nobody can say."""
    artifact(stack, 1, EXAMPLE)
    one = stack.declared(1, variants={"Main": [INF2, TRN1]})
    declaration = json.loads(one["Declaration"])
    stack.aws.model("other", "artifact9")
    stack.aws.configurations["c1"]["ProductionVariants"][0]["InstancePools"][1]["ModelNameOverride"] = "other"
    declaration["variants"][0]["pools"][1] |= {"model": "other", "artifact": "artifact9"}
    assert stack.create({**one, "Declaration": json.dumps(declaration)})["Status"] == "SUCCESS"
    assert not stack.aws.asked


def test_a_change_of_scaling_alone_asks_nothing(stack: Deployment) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': RIGHT}
    one = stack.declared(1)
    stack.create(one)
    stack.aws.asked.clear()
    assert stack.send("InService", "Update", one, one)["Status"] == "SUCCESS"
    assert not stack.aws.asked


def test_every_line_of_the_log_names_the_request(stack: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    artifact(stack, 1, EXAMPLE)
    stack.aws.said = {b'{"x"': RIGHT}
    stack.create(stack.declared(1, tests=[smoke()]))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"smoke test", "golden example", "in service"} <= {line["decision"] for line in lines}
    assert {line["execution"] for line in lines} == {"r-1", "r-2"}
    assert {line["key"] for line in lines} == {NAME}
