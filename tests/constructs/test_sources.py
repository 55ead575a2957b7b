"""Where a model's files come from, as resources: who may read what, what is watched, what fetches from the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aws_cdk import App, Stack

from neuron_cdk import CompiledModel, spec
from tests.constructs.conftest import AWS, FLAGS, Platform

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:huggingface-AbCdEf"
HUB = {"huggingface": "org/minilm", "revision": "a" * 40}
SOURCES: dict[str, dict[str, Any]] = {
    "plain": {"s3": "s3://models/plain/"},
    "watched": {"s3": "s3://uploads/watched/", "watch": True},
    "gated": {**HUB, "token": SECRET, "include": ["*.bin"]},
    "copied": {**HUB, "mirror": "s3://models/copied/", "include": ["*.bin"]},
}


@pytest.fixture(scope="module")
def templates() -> dict[str, dict[str, Any]]:
    """The platform's template and each model's; ``watched`` is in two stacks, as a model of two endpoints is."""
    app = App(context=FLAGS, analytics_reporting=False)
    platform = Platform(app, "platform")
    for name, source in {**SOURCES, "again": SOURCES["watched"]}.items():
        wanted = {"source": source, "task": "t", "compile": {"engine": "torch-neuronx", "target": "inf2"}}
        model = spec.Model.model_validate(wanted)
        called = "watched" if name == "again" else name
        CompiledModel(Stack(app, name, env=AWS), "Model", pipeline=platform.pipeline, name=called, model=model)
    assembly = app.synth()
    return {stack.stack_name: stack.template for stack in assembly.stacks}


@pytest.fixture(scope="module")
def asked(templates: dict[str, dict[str, Any]]) -> Any:
    """What the pipeline is asked for, by model."""

    def find(name: str) -> dict[str, Any]:
        resources = templates[name]["Resources"].values()
        (found,) = [one for one in resources if one["Type"] == "Custom::NeuronCompiledModel"]
        model: dict[str, Any] = found["Properties"]["Model"]
        return model

    return find


def kind(templates: Mapping[str, Any], type: str) -> dict[str, Any]:
    resources = templates["platform"]["Resources"].items()
    return {key: one["Properties"] for key, one in resources if one["Type"] == type}


def statements(templates: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """Every statement about a role of the pipeline, whether in it or in a policy of its own."""
    found = []
    for key, one in kind(templates, "AWS::IAM::Role").items():
        if key.startswith(f"Pipeline{role}"):
            found += [one for policy in one.get("Policies", ()) for one in policy["PolicyDocument"]["Statement"]]
    for policy in kind(templates, "AWS::IAM::Policy").values():
        if any(each["Ref"].startswith(f"Pipeline{role}") for each in policy["Roles"]):
            found += policy["PolicyDocument"]["Statement"]
    return found


class TestWatch:
    def rule(self, templates: Mapping[str, Any]) -> dict[str, Any]:
        rules = [
            rule
            for rule in kind(templates, "AWS::Events::Rule").values()
            if rule.get("EventPattern", {}).get("source") == ["aws.s3"]
        ]
        assert len(rules) == 1
        return rules[0]

    def test_a_model_of_two_stacks_has_one_rule_for_what_is_created_below_its_prefix(
        self, templates: dict[str, Any]
    ) -> None:
        assert self.rule(templates)["EventPattern"] == {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": ["uploads"]}, "object": {"key": [{"prefix": "watched/"}]}},
        }

    def test_the_hook_is_told_which_model_and_gets_the_event_as_it_is(self, templates: dict[str, Any]) -> None:
        (target,) = self.rule(templates)["Targets"]
        template = target["InputTransformer"]["InputTemplate"]
        filled = json.loads(template.replace("<aws.events.event.json>", '{"detail": {}}'))
        assert filled == {"model": "watched", "event": {"detail": {}}}

    def test_the_rule_may_call_the_hook_and_nothing_else_may(self, templates: dict[str, Any]) -> None:
        (permission,) = [
            one
            for one in kind(templates, "AWS::Lambda::Permission").values()
            if "PipelineWatch" in json.dumps(one["FunctionName"])
        ]
        assert permission["Principal"] == "events.amazonaws.com"
        assert "PipelineWatchwatchedRule" in json.dumps(permission["SourceArn"])

    def test_the_hook_sees_of_the_bucket_whether_the_marker_is_there(self, templates: dict[str, Any]) -> None:
        (listing,) = [one for one in statements(templates, "WatchHook") if "s3:ListBucket" in one["Action"]]
        assert listing["Condition"] == {"StringEquals": {"s3:prefix": "watched/_READY"}}
        assert not [one for one in statements(templates, "WatchHook") if "s3:GetObject" in one["Action"]]

    def test_a_prefix_that_is_no_folder_is_refused(self) -> None:
        platform = Platform(App(context=FLAGS), "platform")
        with pytest.raises(ValueError, match="must end in /"):
            platform.pipeline.watch_source("m", "uploads", "watched")

    def test_without_a_watched_model_there_is_no_hook(self) -> None:
        app = App(context=FLAGS)
        Platform(app, "platform")
        template = app.synth().get_stack_by_name("platform").template
        assert "source_changed" not in json.dumps(template)


class TestHub:
    def test_the_request_says_what_to_fetch_and_with_which_secret(self, asked: Any) -> None:
        assert asked("gated")["Source"] == {
            "Kind": "huggingface",
            "Repository": "org/minilm",
            "Revision": "a" * 40,
            "Include": ["*.bin"],
            "TokenSecretArn": SECRET,
            "MirrorPrefix": "",
        }

    def test_what_somebody_copied_is_not_fetched(self, asked: Any) -> None:
        assert asked("copied")["Source"]["MirrorPrefix"] == "s3://models/copied/"
        assert "Mirror" not in asked("copied")

    def test_it_is_fetched_on_a_small_host_with_room_for_it(self, asked: Any) -> None:
        mirror = asked("gated")["Mirror"]
        assert mirror["VolumeSizeGb"] >= 100
        assert mirror["Hosts"]
        assert mirror["Image"] == asked("gated")["Image"]

    def test_the_secret_is_for_what_fetches_and_for_nothing_else(self, templates: dict[str, Any]) -> None:
        def reads(role: str) -> list[Any]:
            found = [one for one in statements(templates, role) if "secretsmanager:" in json.dumps(one["Action"])]
            return [(one["Action"], one["Resource"]) for one in found]

        assert reads("MirrorRole") == [("secretsmanager:GetSecretValue", SECRET)]
        assert reads("JobRole") == []
        assert reads("Begin") == []

    def test_its_key_is_used_for_this_secret_alone(self, templates: dict[str, Any]) -> None:
        (use,) = [
            one
            for one in statements(templates, "MirrorRole")
            if "kms:Decrypt" in one["Action"] and "SecretARN" in json.dumps(one.get("Condition", {}))
        ]
        assert use["Condition"] == {"StringEquals": {"kms:EncryptionContext:SecretARN": SECRET}}
