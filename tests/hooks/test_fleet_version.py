"""Which launch template version a released fleet is to name, and that its groups do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.release_fleet_world import GROUP, OTHER, TEMPLATE, World

Load = Callable[[str], ModuleType]


class Asked:
    """The hook on a world, and what it answers."""

    def __init__(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TARGET", "fleet/serve")
        self.hook: Any = load("release.fleet_version")
        self.record: Any = load("release.record")
        self.frame: Any = load("release.kind")
        self.world = World()
        self.world.deploy("dd" * 32)  # version 2
        self.bodies: list[dict[str, Any]] = []
        monkeypatch.setattr(load("aws"), "client", lambda service, *_: self.world.client(service))
        monkeypatch.setattr(self.hook.cloudformation, "deliver", lambda _, body: self.bodies.append(json.loads(body)))

    def put(self, *, current: int = 0, pending: int = 0, stage: str = "progress") -> None:
        """The registry holds a record with these versions; 0 for none."""
        record = self.record.Record("fleet/serve", version=1)
        if current:
            served = self.frame.Released("0", "m", "k", "u", "{}", {"versions": {TEMPLATE: current}})
            record = replace(record, current=served)
        if pending:
            release = self.frame.Release("1", "fleet/serve", "artifact", "m", "k", "u", "{}", "e", 1, stage=stage)
            record = replace(record, pending=replace(release, facts={"versions": {TEMPLATE: pending}}))
        document = {"S": self.record.document(record)}
        self.world.items["release#fleet/serve"] = {"document": document, "version": {"N": "1"}}

    def ask(self, kind: str = "Update", *, keep: bool = False, template: str = TEMPLATE) -> dict[str, Any]:
        properties: dict[str, Any] = {"Templates": [{"Id": template, "Version": "2"}]}
        if keep:
            properties["Keep"] = [{"Name": name, "Template": template} for name in (GROUP, OTHER)]
        self.hook.handler(
            {
                "RequestType": kind,
                "RequestId": "r",
                "ResponseURL": "https://cloudformation.example/answer",
                "StackId": "arn:stack",
                "LogicalResourceId": "Version",
                "ResourceProperties": properties,
            },
            None,
        )
        return self.bodies[-1]


@pytest.fixture
def asked(load: Load, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(load, monkeypatch)


def test_before_any_release_it_is_cloudformations_own(asked: Asked) -> None:
    assert asked.ask("Create")["Data"] == {"Version1": "2"}


def test_it_is_what_was_released(asked: Asked) -> None:
    asked.put(current=7)
    assert asked.ask()["Data"] == {"Version1": "7"}


def test_of_a_template_that_is_new_it_is_cloudformations_own(asked: Asked) -> None:
    asked.put(current=7)
    assert asked.ask(template="lt-00000000000000000")["Data"] == {"Version1": "2"}


@pytest.mark.parametrize(
    ("stage", "version"), [("progress", "9"), ("verify", "9"), ("promote", "9"), ("apply", "7"), ("back", "7")]
)
def test_what_is_just_being_released_counts_until_it_is_taken_back(asked: Asked, stage: str, version: str) -> None:
    asked.put(current=7, pending=9, stage=stage)
    assert asked.ask()["Data"] == {"Version1": version}


def test_asking_changes_nothing(asked: Asked) -> None:
    asked.put(current=2)
    asked.ask()
    assert {group.version for group in asked.world.groups.values()} == {"1"}


def test_groups_that_launch_from_another_version_are_given_the_released_one(asked: Asked) -> None:
    asked.put(current=2)
    asked.world.groups[OTHER].version = "2"
    asked.ask(keep=True)
    assert {group.version for group in asked.world.groups.values()} == {"2"}
    updates = [request for name, request in asked.world.calls if name == "update_auto_scaling_group"]
    assert [one["AutoScalingGroupName"] for one in updates] == [GROUP]


def test_a_delete_is_answered_and_touches_nothing(asked: Asked) -> None:
    asked.put(current=2)
    assert asked.ask("Delete", keep=True)["Status"] == "SUCCESS"
    assert asked.world.calls == []


def test_what_goes_wrong_is_answered(asked: Asked) -> None:
    asked.put(current=2)
    del asked.world.groups[GROUP]
    answer = asked.ask(keep=True)
    assert answer["Status"] == "FAILED"
    assert GROUP in answer["Reason"]
