"""Instance refreshes: a group's instances are replaced by such as are desired, some at a time, and maybe back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.auto_scaling_groups import BOOT_S

Clients = Callable[[str], Any]
_TURN = 40
"""An old instance goes and its successor is in service: a little more than a boot."""


@pytest.fixture
def template(launch_template: Any, client: Clients) -> str:
    """A launch template with two versions; its id."""
    made = str(launch_template())
    data = {"ImageId": "ami-22222222222222222", "InstanceType": "inf2.xlarge"}
    client("ec2").create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=data)
    return made


@pytest.fixture
def running(group: Any, template: str, later: Any) -> Callable[..., str]:
    """A group whose instances run the template's first version; its name."""

    def make(size: int, **changes: Any) -> str:
        named = {"LaunchTemplateId": template, "Version": "1"}
        name = str(group(DesiredCapacity=size, LaunchTemplate=named, VPCZoneIdentifier="subnet-00000001", **changes))
        later(BOOT_S)
        return name

    return make


@pytest.fixture
def refresh(client: Clients, template: str) -> Callable[..., str]:
    """Start a refresh to the second version; its id."""

    def start(name: str, **preferences: Any) -> str:
        made = client("autoscaling").start_instance_refresh(
            AutoScalingGroupName=name,
            DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": template, "Version": "2"}},
            Preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 0} | preferences,
        )
        return str(made["InstanceRefreshId"])

    return start


@pytest.fixture
def progress(client: Clients) -> Callable[[str], dict[str, Any]]:
    """A group's newest refresh, described."""

    def describe(name: str) -> dict[str, Any]:
        found = client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=name)
        return dict(found["InstanceRefreshes"][0])

    return describe


@pytest.fixture
def versions(described: Any) -> Callable[[str], list[str]]:
    """The versions that a group's instances in service run."""

    def find(name: str) -> list[str]:
        return sorted(
            each["LaunchTemplate"]["Version"]
            for each in described(name)["Instances"]
            if each["LifecycleState"] == "InService"
        )

    return find


def test_every_instance_is_replaced(running: Any, refresh: Any, later: Any, versions: Any) -> None:
    name = running(4)
    refresh(name)
    later(2 * _TURN)
    assert versions(name) == ["2"] * 4


def test_no_more_leave_than_may_be_missing(running: Any, refresh: Any, later: Any, versions: Any) -> None:
    name = running(4)
    refresh(name)
    later(_TURN - 20)
    assert versions(name) == ["1", "1"]


def test_one_leaves_however_small_the_group(running: Any, refresh: Any, later: Any, versions: Any) -> None:
    name = running(1)
    refresh(name, MinHealthyPercentage=90)
    later(_TURN)
    assert versions(name) == ["2"]


def test_successors_come_first_when_the_group_may_be_larger(
    running: Any, refresh: Any, later: Any, versions: Any, described: Any
) -> None:
    name = running(2)
    refresh(name, MinHealthyPercentage=100, MaxHealthyPercentage=150)
    later(10)
    assert (versions(name), len(described(name)["Instances"])) == (["1", "1"], 3)
    later(2 * _TURN)
    assert versions(name) == ["2", "2"]


def test_a_maintenance_policy_counts_where_the_refresh_says_nothing(
    running: Any, later: Any, versions: Any, described: Any, client: Clients
) -> None:
    name = running(2, InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150})
    client("autoscaling").start_instance_refresh(AutoScalingGroupName=name)
    later(10)
    assert (versions(name), len(described(name)["Instances"])) == (["1", "1"], 3)


def test_a_successor_warms_up_before_the_next_leaves(running: Any, refresh: Any, later: Any, versions: Any) -> None:
    name = running(2)
    refresh(name, InstanceWarmup=600)
    later(_TURN + 500)
    assert versions(name) == ["1", "2"]
    later(120 + _TURN + 600)
    assert versions(name) == ["2", "2"]


def test_the_group_is_as_desired_when_it_has_succeeded(
    running: Any, refresh: Any, later: Any, progress: Any, described: Any
) -> None:
    name = running(1)
    refresh(name)
    later(_TURN)
    assert progress(name)["Status"] == "Successful"
    assert described(name)["LaunchTemplate"]["Version"] == "2"


def test_progress_is_told_in_percent(running: Any, refresh: Any, later: Any, progress: Any) -> None:
    name = running(4)
    refresh(name, MinHealthyPercentage=75)
    later(_TURN - 5)
    told = progress(name)
    assert (told["Status"], told["PercentageComplete"], told["InstancesToUpdate"]) == ("InProgress", 25, 3)


def test_its_beginning_and_its_end_are_events(running: Any, refresh: Any, later: Any, of_group: Any) -> None:
    name = running(1)
    events = of_group(name)
    identifier = refresh(name)
    later(_TURN)
    told = [event for event in events() if "Refresh" in event["detail-type"]]
    assert [event["detail-type"] for event in told] == [
        "EC2 Auto Scaling Instance Refresh Started",
        "EC2 Auto Scaling Instance Refresh Succeeded",
    ]
    assert told[0]["detail"] == {"InstanceRefreshId": identifier, "AutoScalingGroupName": name}


def test_it_waits_at_a_checkpoint(running: Any, refresh: Any, later: Any, versions: Any) -> None:
    name = running(4)
    refresh(name, CheckpointPercentages=[25, 100], CheckpointDelay=600)
    later(_TURN + 500)
    assert versions(name) == ["1", "1", "1", "2"]
    later(100 + 2 * _TURN)
    assert versions(name) == ["2"] * 4


def test_a_checkpoint_is_an_event(running: Any, refresh: Any, later: Any, of_group: Any) -> None:
    name = running(4)
    events = of_group(name)
    identifier = refresh(name, CheckpointPercentages=[25, 100], CheckpointDelay=600)
    later(_TURN)
    (told,) = [event for event in events() if event["detail-type"].endswith("Checkpoint Reached")]
    assert told["detail"] == {
        "InstanceRefreshId": identifier,
        "AutoScalingGroupName": name,
        "CheckpointPercentage": "25",
        "CheckpointDelay": "600",
    }


def test_it_bakes_at_the_end(running: Any, refresh: Any, later: Any, progress: Any) -> None:
    name = running(1)
    refresh(name, BakeTime=600)
    later(_TURN + 300)
    assert progress(name)["Status"] == "Baking"
    later(400)
    assert progress(name)["Status"] == "Successful"


def test_what_matches_is_skipped(
    running: Any, refresh: Any, later: Any, described: Any, client: Clients, template: str, progress: Any
) -> None:
    name = running(1)
    wanted = {"LaunchTemplateId": template, "Version": "2"}
    client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=wanted, DesiredCapacity=2)
    later(BOOT_S)
    fits = {each["InstanceId"] for each in described(name)["Instances"] if each["LaunchTemplate"]["Version"] == "2"}
    refresh(name, SkipMatching=True)
    later(_TURN)
    assert progress(name)["Status"] == "Successful"
    assert fits < {each["InstanceId"] for each in described(name)["Instances"]}


# Failures and the way back


def test_an_alarm_ends_it(
    running: Any, refresh: Any, later: Any, progress: Any, client: Clients, quiet_alarm: str
) -> None:
    name = running(2)
    refresh(name, AlarmSpecification={"Alarms": [quiet_alarm]}, CheckpointPercentages=[50, 100], CheckpointDelay=600)
    later(_TURN)
    client("cloudwatch").set_alarm_state(AlarmName=quiet_alarm, StateValue="ALARM", StateReason="test")
    later(60)
    assert progress(name)["Status"] == "Failed"
    assert quiet_alarm in progress(name)["StatusReason"]


def test_an_alarm_while_it_bakes_rolls_it_back(
    running: Any, refresh: Any, later: Any, progress: Any, versions: Any, client: Clients, quiet_alarm: str
) -> None:
    name = running(2)
    refresh(name, AlarmSpecification={"Alarms": [quiet_alarm]}, AutoRollback=True, BakeTime=600)
    later(2 * _TURN)
    assert progress(name)["Status"] == "Baking"
    client("cloudwatch").set_alarm_state(AlarmName=quiet_alarm, StateValue="ALARM", StateReason="test")
    later(60 + 2 * _TURN)
    assert (progress(name)["Status"], versions(name)) == ("RollbackSuccessful", ["1", "1"])


def test_launches_that_fail_for_an_hour_fail_it(
    running: Any, refresh: Any, later: Any, progress: Any, controlled: Any, of_group: Any
) -> None:
    name = running(2)
    events = of_group(name)
    controlled("capacity", pools={name: 1})
    refresh(name)
    later(3700)
    assert progress(name)["Status"] == "Failed"
    assert "EC2 Auto Scaling Instance Refresh Failed" in [event["detail-type"] for event in events()]


def test_a_cancelled_refresh_leaves_what_it_did(
    running: Any, refresh: Any, later: Any, progress: Any, versions: Any, client: Clients
) -> None:
    name = running(2)
    refresh(name, CheckpointPercentages=[50, 100], CheckpointDelay=600)
    later(_TURN)
    client("autoscaling").cancel_instance_refresh(AutoScalingGroupName=name)
    later(700)
    assert (progress(name)["Status"], versions(name)) == ("Cancelled", ["1", "2"])


def test_a_refresh_is_rolled_back_on_request(
    running: Any, refresh: Any, later: Any, progress: Any, versions: Any, client: Clients
) -> None:
    name = running(2)
    refresh(name, CheckpointPercentages=[50, 100], CheckpointDelay=600)
    later(_TURN)
    client("autoscaling").rollback_instance_refresh(AutoScalingGroupName=name)
    later(_TURN)
    told = progress(name)
    assert (told["Status"], told["RollbackDetails"]["PercentageCompleteOnRollback"]) == ("RollbackSuccessful", 50)
    assert versions(name) == ["1", "1"]


# What is refused


def test_there_is_one_refresh_at_a_time(running: Any, refresh: Any, client: Clients, code_of: Any) -> None:
    name = running(1)
    refresh(name)
    error = code_of(client("autoscaling").start_instance_refresh, AutoScalingGroupName=name)
    assert (error.code, error.message) == (
        "InstanceRefreshInProgress",
        "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
    )


def test_without_a_desired_configuration_there_is_no_way_back(running: Any, client: Clients, code_of: Any) -> None:
    name = running(1)
    client("autoscaling").start_instance_refresh(AutoScalingGroupName=name)
    error = code_of(client("autoscaling").rollback_instance_refresh, AutoScalingGroupName=name)
    assert error.code == "IrreversibleInstanceRefresh"


def test_without_a_numbered_version_there_is_no_way_back(
    running: Any, refresh: Any, client: Clients, code_of: Any, template: str
) -> None:
    name = running(1)
    newest = {"LaunchTemplateId": template, "Version": "$Latest"}
    client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=newest)
    refresh(name)
    error = code_of(client("autoscaling").rollback_instance_refresh, AutoScalingGroupName=name)
    assert error.code == "IrreversibleInstanceRefresh"


@pytest.mark.parametrize(
    "preferences",
    [
        {"CheckpointPercentages": [50, 50]},
        {"CheckpointDelay": 600},
        {"MaxHealthyPercentage": 200},
        {"AutoRollback": True},
    ],
)
def test_preferences_that_contradict_themselves_are_refused(
    running: Any, client: Clients, code_of: Any, preferences: dict[str, Any]
) -> None:
    error = code_of(
        client("autoscaling").start_instance_refresh, AutoScalingGroupName=running(1), Preferences=preferences
    )
    assert error.code == "ValidationError"
