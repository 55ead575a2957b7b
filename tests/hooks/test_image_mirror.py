"""The function that has an image copied: started once with what the build answers by, never waited for in vain."""

from __future__ import annotations

import pytest


@pytest.fixture
def mirror(load, environment, monkeypatch):
    monkeypatch.setenv("PROJECT", "mirror-project")
    return load("compile.image_mirror")


@pytest.fixture
def event():
    def make(kind: str = "Create") -> dict:
        return {
            "RequestType": kind,
            "RequestId": "0d5bb4ad",
            "ResponseURL": "https://cloudformation.example/answer",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/one/two",
            "LogicalResourceId": "Copy",
            "PhysicalResourceId": "" if kind == "Create" else "repository:1.0",
            "ResourceProperties": {"Source": "public.ecr.aws/neuron/server:1.0", "Tag": "1.0", "Digest": ""},
        }

    return make


@pytest.fixture
def started(mirror, monkeypatch) -> list:
    builds: list = []
    monkeypatch.setattr(mirror.compile_aws, "start_build", lambda *build: builds.append(build))
    return builds


@pytest.fixture
def answers(mirror, monkeypatch) -> list:
    bodies: list = []
    monkeypatch.setattr(mirror.cloudformation, "deliver", lambda request, body: bodies.append(body.decode()))
    return bodies


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_copy_is_started_with_everything_the_build_answers_by(mirror, event, started, answers, kind):
    mirror.handler(event(kind), None)
    ((project, token, variables),) = started
    assert (project, token) == ("mirror-project", "0d5bb4ad")
    assert variables["SOURCE"] == "public.ecr.aws/neuron/server:1.0"
    assert variables["ANSWER_URL"] == "https://cloudformation.example/answer"
    assert {"STACK_ID", "REQUEST_ID", "LOGICAL_ID", "TAG", "EXPECTED"} < set(variables)
    assert answers == []  # the build does it


def test_a_copy_stays_when_its_resource_goes(mirror, event, started, answers):
    mirror.handler(event("Delete"), None)
    assert started == []
    assert "SUCCESS" in answers[0]


def test_what_cannot_be_started_is_answered_at_once(mirror, event, answers, monkeypatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("too many builds")

    monkeypatch.setattr(mirror.compile_aws, "start_build", refuse)
    mirror.handler(event(), None)
    assert "FAILED" in answers[0]
    assert "too many builds" in answers[0]


def test_no_address_is_logged(mirror, event, started, answers, capsys):
    mirror.handler(event(), None)
    assert "cloudformation.example" not in capsys.readouterr().out
