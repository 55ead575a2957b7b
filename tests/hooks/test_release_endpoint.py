"""Releases to an endpoint, from the first deploy to the removal: what is in service, what is kept, who is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.endpoint_aws import NAME
from tests.hooks.endpoint_world import RESOURCE, TRACK, TRN1, target
from tests.hooks.release_world import Releases, blueprint, key

Load = Callable[[str], ModuleType]
SCALES = target("Main", TRACK)


@pytest.fixture
def stack(load: Load, monkeypatch: pytest.MonkeyPatch) -> Releases:
    return Releases(load, monkeypatch)


@pytest.fixture
def deployed(stack: Releases) -> Releases:
    stack.run("request-1", stack.deploy(1))
    assert stack.answers.pop()["Status"] == "SUCCESS"
    return stack


def outcomes(stack: Releases) -> list[tuple[str, str]]:
    return [(one["artifact_key"][-1], one["outcome"]) for one in stack.aws.record()["history"]]


def lease(stack: Releases) -> Any:
    return stack.aws.items["release#endpoint/embed"].get("lease_owner")


def test_the_first_deploy_makes_the_endpoint_and_answers_with_what_it_serves(stack: Releases) -> None:
    stack.run("request-1", stack.deploy(1))

    (answer,) = stack.answers
    assert answer["Status"] == "SUCCESS", answer
    assert answer["PhysicalResourceId"] == "endpoint/embed"
    assert answer["Data"]["ArtifactKey"] == key(1)
    assert answer["Data"]["EndpointName"] == NAME
    assert stack.aws.serves() == key(1)
    assert lease(stack) is None


def test_an_artifact_is_released_without_a_deploy(deployed: Releases) -> None:
    deployed.run("artifact-2", deployed.artifact(2))

    assert deployed.aws.serves() == key(2)
    assert outcomes(deployed) == [("2", "released"), ("1", "released")]
    assert [one["DetailType"] for one in deployed.aws.told[-2:]] == ["Neuron Release Started", "Neuron Model Released"]
    assert json.loads(deployed.aws.told[-1]["Detail"])["previous_key"] == key(1)


def test_the_release_before_is_kept_and_older_ones_are_deleted(deployed: Releases) -> None:
    for version in (2, 3):
        deployed.run(f"artifact-{version}", deployed.artifact(version))

    kept = {deployed.aws.record()[which]["id"] for which in ("current", "previous")}
    assert {name.rpartition("-")[2] for name in deployed.aws.models} == kept
    assert {name.rpartition("-")[2] for name in deployed.aws.configurations} == kept
    assert {name.split("-")[2] for name in deployed.aws.alarms} == kept


def test_a_version_whose_smoke_test_fails_is_taken_back(deployed: Releases) -> None:
    deployed.aws.bad.add(key(2))

    deployed.run("artifact-2", deployed.artifact(2))

    assert deployed.aws.serves() == key(1)
    assert outcomes(deployed) == [("2", "rolled back"), ("1", "released")]
    assert "no such operator" in deployed.aws.record()["history"][0]["reason"]
    assert len(deployed.aws.models) == len(deployed.aws.configurations) == len(deployed.aws.alarms) == 1


@pytest.mark.parametrize("words", ["", "an alarm"], ids=["in silence", "with a reason"])
def test_an_update_that_sagemaker_took_back_is_no_release(deployed: Releases, words: str) -> None:
    deployed.aws.rolls_back[key(2)] = words

    deployed.run("artifact-2", deployed.artifact(2))

    assert deployed.aws.serves() == key(1)
    (past, _) = deployed.aws.record()["history"]
    assert past["outcome"] == "rolled back"
    assert "SageMaker rolled the update back" in past["reason"]


def test_a_release_after_one_that_was_taken_back_is_released(deployed: Releases) -> None:
    deployed.aws.bad.add(key(2))
    deployed.run("artifact-2", deployed.artifact(2))

    deployed.run("artifact-3", deployed.artifact(3))

    assert deployed.aws.serves() == key(3)


def test_a_first_release_that_fails_leaves_nothing_and_says_why(stack: Releases) -> None:
    stack.aws.bad.add(key(1))

    stack.run("request-1", stack.deploy(1))

    (answer,) = stack.answers
    assert answer["Status"] == "FAILED"
    assert "no such operator" in answer["Reason"]
    assert (stack.aws.endpoint, stack.aws.models, stack.aws.configurations, stack.aws.alarms) == (None, {}, {}, {})


def test_a_first_endpoint_that_cannot_be_created_is_deleted(stack: Releases) -> None:
    stack.aws.rolls_back[key(1)] = "no capacity"

    stack.run("request-1", stack.deploy(1))

    assert "no capacity" in stack.answers[0]["Reason"]
    assert (stack.aws.endpoint, stack.aws.models) == (None, {})


def test_a_deploy_that_fails_is_taken_back_and_answered_with_what_is_served(deployed: Releases) -> None:
    deployed.aws.bad.add(key(2))

    deployed.run("request-2", deployed.deploy(2, kind="Update"))

    (answer,) = deployed.answers
    assert answer["Status"] == "FAILED"
    assert f"It serves artifact {key(1)}" in answer["Reason"]
    assert deployed.aws.serves() == key(1)


def test_cloudformations_way_back_changes_nothing(deployed: Releases) -> None:
    deployed.run("artifact-2", deployed.artifact(2))
    deployed.aws.bad.add(key(3))
    deployed.run("request-3", deployed.deploy(3, kind="Update"))
    before = deployed.aws.state()

    deployed.run("request-4", deployed.deploy(1, kind="Update"))

    assert deployed.answers[-1]["Status"] == "SUCCESS"
    assert deployed.answers[-1]["Data"]["ArtifactKey"] == key(2), "what was released since is kept"
    assert deployed.aws.state() == before


def test_a_deploy_of_another_shape_keeps_the_artifact_that_was_released_since(deployed: Releases) -> None:
    deployed.run("artifact-2", deployed.artifact(2))

    deployed.run("request-3", deployed.deploy(1, blueprint(kind=TRN1), kind="Update"))

    assert deployed.aws.serves() == key(2)
    (variant,) = deployed.aws.configurations[deployed.aws.endpoint["configuration"]]["ProductionVariants"]
    assert variant["InstanceType"] == TRN1


def test_a_deploy_with_another_artifact_releases_that(deployed: Releases) -> None:
    deployed.run("artifact-2", deployed.artifact(2))

    deployed.run("request-3", deployed.deploy(3, kind="Update"))

    assert deployed.aws.serves() == key(3)


def test_scaling_is_registered_after_verification_and_out_of_the_way_of_another_type(stack: Releases) -> None:
    stack.run("request-1", stack.deploy(1, blueprint(SCALES)))
    assert f"{RESOURCE}Main" in stack.aws.targets

    stack.run("request-2", stack.deploy(1, blueprint(SCALES, kind=TRN1), kind="Update"))

    assert stack.answers[-1]["Status"] == "SUCCESS", stack.answers
    assert f"{RESOURCE}Main" in stack.aws.targets


def test_scaling_is_back_when_another_type_is_taken_back(stack: Releases) -> None:
    stack.run("request-1", stack.deploy(1, blueprint(SCALES)))
    stack.aws.bad.add(key(2))

    stack.run("request-2", stack.deploy(2, blueprint(SCALES, kind=TRN1), kind="Update"))

    assert stack.answers[-1]["Status"] == "FAILED"
    assert f"{RESOURCE}Main" in stack.aws.targets
    assert stack.aws.policies[f"{RESOURCE}Main"]


def test_a_removal_leaves_nothing(deployed: Releases) -> None:
    deployed.run("artifact-2", deployed.artifact(2))

    deployed.run("request-9", deployed.deploy(1, kind="Delete"))

    assert deployed.answers[-1]["Status"] == "SUCCESS"
    aws = deployed.aws
    assert (aws.endpoint, aws.models, aws.configurations, aws.alarms, aws.targets) == (None, {}, {}, {}, {})
    assert "release#endpoint/embed" not in aws.items


def test_what_half_done_releases_left_goes_with_the_removal(deployed: Releases) -> None:
    deployed.aws.models[f"{NAME}-deadbeef"] = ("image", "s3://artifacts/artifacts/x/a1/")
    deployed.aws.configurations[f"{NAME}-deadbeef"] = {"ProductionVariants": []}
    deployed.aws.models[f"{NAME}-of-somebody-else"] = ("image", "s3://b/k/")

    deployed.run("request-9", deployed.deploy(1, kind="Delete"))

    assert list(deployed.aws.models) == [f"{NAME}-of-somebody-else"]
    assert deployed.aws.configurations == {}


def test_going_back_waits_for_nothing_and_is_watched_by_nobody(deployed: Releases) -> None:
    asked: list[dict[str, Any]] = []
    update = deployed.aws.update_endpoint
    deployed.aws.update_endpoint = lambda **request: (asked.append(request), update(**request))[1]  # type: ignore[method-assign]
    deployed.aws.bad.add(key(2))

    deployed.run("artifact-2", deployed.artifact(2))

    forth, back = (one["DeploymentConfig"] for one in asked)
    assert forth["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 300
    assert forth["AutoRollbackConfiguration"]["Alarms"][0]["AlarmName"].endswith("-Errors")
    assert back["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 0
    assert "AutoRollbackConfiguration" not in back
