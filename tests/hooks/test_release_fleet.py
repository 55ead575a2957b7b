"""What a release does to a fleet, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.hooks.release_fleet_world import GROUP, NEW_KEY, OLD_KEY, OTHER, TEMPLATE, THIRD_KEY, World, uri

Load = Callable[[str], ModuleType]
REFRESH = {
    "min_healthy_percent": 90,
    "checkpoints": [25, 100],
    "bake_seconds": 600,
    "alarms": ["unhealthy"],
    "warmup_s": 0,
}


class Fleet:
    """The kind, and releases of it on a world."""

    def __init__(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"TARGET": "fleet/serve", "APPROVAL": "no"}.items():
            monkeypatch.setenv(name, value)
        self.kind: Any = load("release.fleet")
        self.frame: Any = load("release.kind")
        self.world = World()
        monkeypatch.setattr(load("aws"), "client", lambda service, *_: self.world.client(service))

    def declared(self, base: int = 1, groups: tuple[str, ...] = (GROUP, OTHER)) -> str:
        named = [{"pool": name, "name": name, "template": TEMPLATE, "version": str(base)} for name in groups]
        return json.dumps({"groups": named, "refresh": REFRESH, "sdk": "2.31.1"})

    def release(self, key: str = NEW_KEY, base: int = 1, id: str = "12345678", **more: Any) -> Any:
        given = {"declaration": self.declared(base), **more}
        return self.frame.Release(
            id=id,
            target="fleet/serve",
            trigger="artifact",
            model="m",
            artifact_key=key,
            artifact_uri=uri(key),
            execution="e",
            asked_at=1,
            **given,
        )

    def released(self, key: str = OLD_KEY, base: int = 1, version: int = 1) -> Any:
        return self.frame.Released(
            "0", "m", key, uri(key), self.declared(base), {"versions": {TEMPLATE: version}, "before": {}}
        )

    def applied(self, release: Any) -> Any:
        """The release as the machine goes on with it."""
        return self.frame.Release(**{**_fields(release), "facts": dict(self.kind.apply(release, self.released()))})

    def called(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.world.calls if name == operation]

    def versions(self) -> list[str]:
        return sorted(version for group in self.world.groups.values() for version in group.instances.values())


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


@pytest.fixture
def fleet(load: Load, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(load, monkeypatch)


def test_a_release_is_a_version_of_its_own_made_from_the_base(fleet: Fleet) -> None:
    fleet.applied(fleet.release())

    (made,) = fleet.called("create_launch_template_version")
    assert made["SourceVersion"] == "1"
    assert made["VersionDescription"] == f"neuron-cdk release 12345678: artifact {NEW_KEY}"
    data = fleet.world.templates[TEMPLATE][2]["LaunchTemplateData"]
    assert data == {**fleet.world.templates[TEMPLATE][1]["LaunchTemplateData"], "UserData": data["UserData"]}


def test_every_group_launches_from_the_number(fleet: Fleet) -> None:
    fleet.applied(fleet.release())
    assert [group.version for group in fleet.world.groups.values()] == ["2", "2"]


def test_a_mixed_policy_keeps_what_is_not_named(fleet: Fleet) -> None:
    before = dict(fleet.world.groups[OTHER].policy)
    fleet.applied(fleet.release())
    assert fleet.world.groups[OTHER].policy == before
    asked = next(one for one in fleet.called("update_auto_scaling_group") if one["AutoScalingGroupName"] == OTHER)
    assert "InstancesDistribution" not in asked["MixedInstancesPolicy"]


def test_instances_are_refreshed_with_checkpoints_alarms_and_a_bake_time(fleet: Fleet) -> None:
    fleet.applied(fleet.release())
    first, second = fleet.called("start_instance_refresh")
    assert first["Preferences"] == second["Preferences"]
    assert first["Preferences"] == {
        "MinHealthyPercentage": 90,
        "InstanceWarmup": 0,
        "CheckpointPercentages": [25, 100],
        "CheckpointDelay": 600,
        "BakeTime": 600,
        "SkipMatching": True,
        "AlarmSpecification": {"Alarms": ["unhealthy"]},
    }


def test_what_runs_the_artifact_already_is_left_alone(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release(OLD_KEY))
    assert fleet.kind.progress(release).kind == "done"
    changed = {"create_launch_template_version", "update_auto_scaling_group", "start_instance_refresh"}
    assert changed.isdisjoint(name for name, _ in fleet.world.calls)


def test_a_base_that_is_equal_to_what_runs_replaces_nobody(fleet: Fleet) -> None:
    """CloudFormation's way back makes a version with a new number and the old data."""
    base = fleet.world.deploy(OLD_KEY)
    release = fleet.applied(fleet.release(OLD_KEY, base=base))
    assert release.facts["versions"] == {TEMPLATE: 1}
    assert not fleet.called("start_instance_refresh")


def test_image_and_artifact_of_a_deployment_come_together(fleet: Fleet) -> None:
    base = fleet.world.deploy(NEW_KEY, image="ami-2")
    release = fleet.applied(fleet.release(NEW_KEY, base=base))
    assert release.facts["versions"] == {TEMPLATE: base}
    assert not fleet.called("create_launch_template_version")
    assert len(fleet.called("start_instance_refresh")) == 2


def test_a_deployment_that_changes_the_image_keeps_the_released_artifact(fleet: Fleet) -> None:
    base = fleet.world.deploy(OLD_KEY, image="ami-2")
    release = fleet.applied(fleet.release(NEW_KEY, base=base))
    data = fleet.world.templates[TEMPLATE][release.facts["versions"][TEMPLATE]]["LaunchTemplateData"]
    assert data["ImageId"] == "ami-2"
    assert release.facts["versions"] == {TEMPLATE: base + 1}


def test_an_empty_group_needs_no_refresh(fleet: Fleet) -> None:
    fleet.world.groups[GROUP].instances, fleet.world.groups[GROUP].desired = {}, 0
    release = fleet.applied(fleet.release())
    assert [one["AutoScalingGroupName"] for one in fleet.called("start_instance_refresh")] == [OTHER]
    fleet.world.pass_time()
    assert fleet.kind.progress(release).kind == "done"


def test_a_refresh_under_way_to_something_else_ends_first(fleet: Fleet) -> None:
    fleet.world.client("autoscaling").start_instance_refresh(AutoScalingGroupName=GROUP, Preferences={})
    with pytest.raises(fleet.frame.NotYetError, match=GROUP):
        fleet.applied(fleet.release())
    fleet.world.pass_time()
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    assert fleet.kind.progress(release).kind == "done"


def test_an_artifact_of_another_sdk_is_refused(fleet: Fleet) -> None:
    fleet.world.items[NEW_KEY] = {"sdk": {"S": "2.20.2"}}
    with pytest.raises(fleet.frame.ReleaseError, match=r"SDK 2\.20\.2.* is of 2\.31\.1"):
        fleet.applied(fleet.release())


def test_an_alarm_that_is_on_already_refuses_the_release(fleet: Fleet) -> None:
    fleet.world.alarmed = True
    with pytest.raises(fleet.frame.ReleaseError, match="the alarm unhealthy is in ALARM"):
        fleet.applied(fleet.release())


@pytest.mark.parametrize("gone", ["group", "template", "base"])
def test_what_the_deployment_does_not_have_is_said(fleet: Fleet, gone: str) -> None:
    if gone == "group":
        del fleet.world.groups[OTHER]
    elif gone == "template":
        del fleet.world.templates[TEMPLATE]
    release = fleet.release(base=9 if gone == "base" else 1)
    with pytest.raises(fleet.frame.ReleaseError, match="deploy the stack"):
        fleet.applied(release)


# Progress


def test_progress_says_how_far_each_pool_is(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    progress = fleet.kind.progress(release)
    assert (progress.kind, progress.reason) == (
        "moving",
        f"{GROUP}: 40 % of 2 instances replaced (InProgress); {OTHER}: 40 % of 2 instances replaced (InProgress)",
    )


def test_it_is_done_when_all_are_of_the_version(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    assert fleet.kind.progress(release).kind == "done"
    assert (fleet.versions(), fleet.kind.verify(release, 800)) == (["2"] * 4, "")


def test_instances_that_start_are_waited_for(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release(OLD_KEY))
    fleet.world.groups[GROUP].starting = {f"i-{GROUP}-0"}
    progress = fleet.kind.progress(release)
    assert (progress.kind, progress.reason) == ("moving", f"{GROUP}: 1 instances start")


def test_an_instance_of_before_that_joins_late_is_replaced_too(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    fleet.world.groups[GROUP].instances["i-late"] = "1"
    assert fleet.kind.progress(release).kind == "moving"
    fleet.world.pass_time()
    assert fleet.kind.progress(release).kind == "done"


def test_a_group_that_somebody_sets_back_is_given_the_version_again(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    fleet.world.groups[GROUP].version = "1"
    fleet.kind.progress(release)
    assert fleet.world.groups[GROUP].version == "2"


def test_a_refresh_that_fails_fails_the_release(fleet: Fleet) -> None:
    fleet.world.bad = {"2"}
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    progress = fleet.kind.progress(release)
    assert (progress.kind, progress.reason) == (
        "failed",
        f"{GROUP}: instance refresh r-0 ended as Failed: alarm\n{OTHER}: instance refresh r-0 ended as Failed: alarm",
    )


def test_a_failed_refresh_of_before_is_no_failure_of_this_release(fleet: Fleet) -> None:
    fleet.world.groups[GROUP].refreshes = [{"InstanceRefreshId": "old", "Status": "Failed", "StatusReason": "then"}]
    release = fleet.applied(fleet.release(OLD_KEY))
    assert fleet.kind.progress(release).kind == "done"


MISTAKE = "The image id '[ami-1]' does not exist. Launching EC2 instance failed."
ABANDONED = "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token t was abandoned"
SHORT = "There is no Spot capacity available that matches your request. Launching EC2 instance failed."


@pytest.mark.parametrize(
    ("messages", "kind"),
    [([MISTAKE], "failed"), ([ABANDONED] * 3, "failed"), ([ABANDONED] * 2, "moving"), ([SHORT] * 5, "moving")],
)
def test_launches_that_fail_by_mistake_fail_the_release_and_a_shortage_does_not(
    fleet: Fleet, messages: list[str], kind: str
) -> None:
    release = fleet.applied(fleet.release())
    for message in messages:
        fleet.world.now += 1
        fleet.world.fails(GROUP, message)
    assert fleet.kind.progress(release).kind == kind


def test_launches_that_failed_before_do_not_count(fleet: Fleet) -> None:
    fleet.world.fails(GROUP, MISTAKE)
    fleet.world.now += 60
    assert fleet.kind.progress(fleet.applied(fleet.release())).kind == "moving"


def test_failures_before_a_release_that_refreshes_nobody_do_not_count(fleet: Fleet) -> None:
    fleet.world.fails(GROUP, MISTAKE)
    assert fleet.kind.progress(fleet.applied(fleet.release(OLD_KEY))).kind == "done"


# Verification


def test_instances_of_another_version_are_a_problem(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    assert f"{GROUP}: i-{GROUP}-0, i-{GROUP}-1 do not run launch template version 2" in fleet.kind.verify(release, 800)


def test_an_instance_that_is_not_healthy_is_a_problem(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release(OLD_KEY))
    fleet.world.groups[GROUP].ill = {f"i-{GROUP}-1"}
    assert fleet.kind.verify(release, 800) == f"{GROUP}: i-{GROUP}-1 are not healthy"


# The way back


def _back(fleet: Fleet, release: Any, last_good: Any) -> str:
    for _ in range(12):
        try:
            progress = fleet.kind.take_back(release, last_good)
        except fleet.frame.NotYetError:
            progress = fleet.frame.Progress("moving")
        if progress.kind != "moving":
            return str(progress.kind)
        fleet.world.pass_time()
    return "never"


def test_a_release_is_taken_back_to_the_version_before(fleet: Fleet) -> None:
    fleet.world.bad = {"2"}
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    assert fleet.versions() == ["1", "1", "2", "2"]

    assert _back(fleet, release, fleet.released()) == "done"
    assert fleet.versions() == ["1"] * 4
    assert [group.version for group in fleet.world.groups.values()] == ["1", "1"]


def test_a_refresh_that_still_runs_is_cancelled_first(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    assert _back(fleet, release, fleet.released()) == "done"
    assert len(fleet.called("cancel_instance_refresh")) == 2
    assert fleet.versions() == ["1"] * 4


def test_what_was_released_before_is_made_again_where_its_version_is_gone(fleet: Fleet) -> None:
    third = fleet.applied(fleet.release(THIRD_KEY, id="87654321"))
    fleet.world.pass_time()
    assert third.facts["versions"] == {TEMPLATE: 2}
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    del fleet.world.templates[TEMPLATE][2]

    assert _back(fleet, release, fleet.released(THIRD_KEY, version=2)) == "done"
    assert fleet.versions() == ["4"] * 4


def test_a_way_back_that_fails_again_and_again_has_failed(fleet: Fleet) -> None:
    fleet.world.bad = {"1", "2"}
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    assert _back(fleet, release, fleet.released()) == "failed"


def test_the_first_release_has_nothing_to_go_back_to(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    assert fleet.kind.take_back(release, None).kind == "done"
    assert {group.refreshes[0]["Status"] for group in fleet.world.groups.values()} == {"Cancelling"}


def test_a_pool_that_is_gone_does_not_hold_up_the_way_back(fleet: Fleet) -> None:
    release = fleet.applied(fleet.release())
    fleet.world.pass_time()
    del fleet.world.groups[OTHER]
    assert _back(fleet, release, fleet.released()) == "done"


# What is left over


def test_versions_of_releases_that_are_over_are_deleted(fleet: Fleet) -> None:
    for number, key in enumerate((NEW_KEY, THIRD_KEY, "dd" * 32), 1):
        fleet.applied(fleet.release(key, id=str(number) * 8))
        fleet.world.pass_time()
    current, previous = fleet.released("dd" * 32, version=4), fleet.released(THIRD_KEY, version=3)

    fleet.kind.tidy([current, previous])

    assert list(fleet.world.templates[TEMPLATE]) == [1, 3, 4]


def test_what_an_instance_runs_is_never_deleted(fleet: Fleet) -> None:
    fleet.applied(fleet.release())
    fleet.kind.tidy([fleet.released()])
    assert list(fleet.world.templates[TEMPLATE]) == [1, 2]


def test_removing_deletes_all_but_what_groups_launch_from(fleet: Fleet) -> None:
    first = fleet.applied(fleet.release())
    fleet.world.pass_time()
    fleet.applied(fleet.release(THIRD_KEY, id="87654321"))
    for _ in range(2):
        fleet.world.pass_time()
    assert fleet.kind.remove(first, None).kind == "done"
    assert list(fleet.world.templates[TEMPLATE]) == [1, 3]


def test_removing_what_cloudformation_has_deleted_is_done(fleet: Fleet) -> None:
    fleet.world.groups.clear()
    fleet.world.templates.clear()
    assert fleet.kind.remove(fleet.release(), None).kind == "done"
