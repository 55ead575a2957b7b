"""Lifecycle hooks and warm pools: where an instance waits on its way into its group and out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.auto_scaling_groups import BOOT_S, ids, states

Clients = Callable[[str], Any]
_LAUNCH = {
    "LifecycleHookName": "launch",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "HeartbeatTimeout": 600,
    "NotificationMetadata": "about",
}
_TERMINATE = {
    "LifecycleHookName": "terminate",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 600,
    "DefaultResult": "CONTINUE",
}


@pytest.fixture
def hooked(group: Any) -> Callable[..., str]:
    """A group with a launch and a terminate hook; its name."""

    def make(**changes: Any) -> str:
        return str(group(LifecycleHookSpecificationList=[_LAUNCH, _TERMINATE], **changes))

    return make


@pytest.fixture
def nobody_answers(controlled: Any) -> None:
    controlled("instances", launch="never", terminate="never")


def test_an_instance_waits_at_its_launch_hook(hooked: Any, described: Any, later: Any) -> None:
    name = hooked(DesiredCapacity=1)
    later(1)
    assert states(described(name)) == ["Pending:Wait"]


def test_the_agent_lets_it_in_when_it_has_booted(hooked: Any, described: Any, later: Any) -> None:
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    assert states(described(name)) == ["InService"]


@pytest.mark.usefixtures("nobody_answers")
def test_an_answer_lets_it_in(hooked: Any, described: Any, later: Any, client: Clients) -> None:
    name = hooked(DesiredCapacity=1)
    later(1)
    client("autoscaling").complete_lifecycle_action(
        AutoScalingGroupName=name,
        LifecycleHookName="launch",
        InstanceId=ids(described(name))[0],
        LifecycleActionResult="CONTINUE",
    )
    later(1)
    assert states(described(name)) == ["InService"]


@pytest.mark.usefixtures("nobody_answers")
def test_an_instance_that_nobody_answers_for_does_not_come_in(hooked: Any, of_group: Any, later: Any) -> None:
    name = hooked(DesiredCapacity=1)
    events = of_group(name)
    later(601)
    (told,) = [event for event in events() if event["detail-type"] == "EC2 Instance Launch Unsuccessful"]
    assert told["detail"]["StatusMessage"].endswith("was abandoned: Heartbeat Timeout Elapsed")


@pytest.mark.usefixtures("nobody_answers")
def test_an_instance_that_is_lost_while_it_waits_is_replaced(
    hooked: Any, described: Any, later: Any, client: Clients
) -> None:
    name = hooked(DesiredCapacity=1)
    later(1)
    before = ids(described(name))
    client("ec2").terminate_instances(InstanceIds=before)
    later(5)
    after = described(name)
    assert (states(after), ids(after) == before) == (["Pending:Wait"], False)


@pytest.mark.usefixtures("nobody_answers")
def test_nobody_waits_for_a_leaving_instance_that_is_lost(
    hooked: Any, described: Any, later: Any, client: Clients, controlled: Any
) -> None:
    controlled("instances", launch="continue")
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(1)
    client("ec2").terminate_instances(InstanceIds=ids(described(name)))
    later(1)
    assert ids(described(name)) == []


@pytest.mark.usefixtures("nobody_answers")
def test_a_heartbeat_begins_the_timeout_again(hooked: Any, described: Any, later: Any, client: Clients) -> None:
    name = hooked(DesiredCapacity=1)
    later(500)
    (identifier,) = ids(described(name))
    client("autoscaling").record_lifecycle_action_heartbeat(
        AutoScalingGroupName=name, LifecycleHookName="launch", InstanceId=identifier
    )
    later(500)
    assert described(name)["Instances"][0]["InstanceId"] == identifier


def test_an_abandoned_launch_failed(hooked: Any, described: Any, later: Any, client: Clients, controlled: Any) -> None:
    controlled("instances", launch="abandon")
    name = hooked(DesiredCapacity=1)
    later(BOOT_S + 2)
    found = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    failed = next(each for each in found if each["StatusCode"] == "Cancelled")
    assert "Lifecycle Action Completed with ABANDON Result" in failed["StatusMessage"]


def test_an_abandoned_launch_is_tried_again_later(hooked: Any, described: Any, later: Any, controlled: Any) -> None:
    controlled("instances", launch="abandon")
    name = hooked(DesiredCapacity=1)
    later(BOOT_S + 2)
    assert ids(described(name)) == []
    controlled("instances", launch="continue")
    later(120)
    assert states(described(name)) == ["InService"]


@pytest.mark.usefixtures("nobody_answers")
def test_the_event_of_a_launch_hook(hooked: Any, of_group: Any, described: Any, later: Any, client: Clients) -> None:
    name = hooked()
    events = of_group(name)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(1)
    (event,) = events()
    token = event["detail"].pop("LifecycleActionToken")
    assert len(token) == 36
    assert (event["detail-type"], event["detail"]) == (
        "EC2 Instance-launch Lifecycle Action",
        {
            "AutoScalingGroupName": name,
            "LifecycleHookName": "launch",
            "EC2InstanceId": ids(described(name))[0],
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "NotificationMetadata": "about",
            "Origin": "EC2",
            "Destination": "AutoScalingGroup",
        },
    )


def test_a_leaving_instance_waits_at_its_hook(hooked: Any, described: Any, later: Any, client: Clients) -> None:
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(1)
    assert states(described(name)) == ["Terminating:Wait"]


def test_the_agent_lets_it_go_when_it_has_drained(hooked: Any, described: Any, later: Any, client: Clients) -> None:
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(10)
    assert ids(described(name)) == []


@pytest.mark.usefixtures("nobody_answers")
def test_a_leaving_instance_goes_when_its_hook_times_out(
    hooked: Any, described: Any, later: Any, client: Clients, controlled: Any
) -> None:
    controlled("instances", launch="continue")
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(605)
    assert ids(described(name)) == []


@pytest.mark.usefixtures("nobody_answers")
def test_a_deleted_hook_holds_nobody(hooked: Any, described: Any, later: Any, client: Clients, controlled: Any) -> None:
    controlled("instances", launch="continue")
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    later(1)
    client("autoscaling").delete_lifecycle_hook(AutoScalingGroupName=name, LifecycleHookName="terminate")
    later(2)
    assert ids(described(name)) == []


def test_an_answer_for_an_instance_that_waits_at_nothing_is_refused(
    hooked: Any, described: Any, later: Any, client: Clients, code_of: Any
) -> None:
    name = hooked(DesiredCapacity=1)
    later(BOOT_S)
    (identifier,) = ids(described(name))
    error = code_of(
        client("autoscaling").complete_lifecycle_action,
        AutoScalingGroupName=name,
        LifecycleHookName="launch",
        InstanceId=identifier,
        LifecycleActionResult="CONTINUE",
    )
    assert error.message == f"No active Lifecycle Action found with instance ID {identifier}"


# Warm pools


@pytest.fixture
def warm(group: Any, client: Clients, later: Any) -> Callable[..., str]:
    """A group of at most three with a warm pool that has filled; its name."""

    def make(**pool: Any) -> str:
        name = str(group(MaxSize=3))
        client("autoscaling").put_warm_pool(AutoScalingGroupName=name, **pool)
        later(BOOT_S)
        return name

    return make


@pytest.fixture
def pool_of(client: Clients) -> Callable[[str], list[dict[str, Any]]]:
    def describe(name: str) -> list[dict[str, Any]]:
        return list(client("autoscaling").describe_warm_pool(AutoScalingGroupName=name)["Instances"])

    return describe


@pytest.mark.parametrize(
    ("pool", "size"),
    [({}, 3), ({"MaxGroupPreparedCapacity": 2}, 2), ({"MaxGroupPreparedCapacity": 0, "MinSize": 1}, 1)],
)
def test_a_warm_pool_holds_what_the_group_may_still_grow(
    warm: Any, pool_of: Any, pool: dict[str, Any], size: int
) -> None:
    assert [each["LifecycleState"] for each in pool_of(warm(**pool))] == ["Warmed:Stopped"] * size


def test_a_warmed_instance_is_stopped(warm: Any, pool_of: Any, client: Clients) -> None:
    identifier = pool_of(warm())[0]["InstanceId"]
    (reservation,) = client("ec2").describe_instances(InstanceIds=[identifier])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "stopped"


def test_a_warm_pool_can_run(warm: Any, pool_of: Any) -> None:
    assert {each["LifecycleState"] for each in pool_of(warm(PoolState="Running"))} == {"Warmed:Running"}


def test_a_warmed_instance_is_none_of_the_group(warm: Any, described: Any) -> None:
    now = described(warm())
    assert (now["Instances"], now["WarmPoolSize"]) == ([], 3)


def test_a_growing_group_takes_from_its_pool(
    warm: Any, pool_of: Any, described: Any, later: Any, client: Clients
) -> None:
    name = warm()
    prepared = {each["InstanceId"] for each in pool_of(name)}
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(11)
    now = described(name)
    assert states(now) == ["InService"]
    assert set(ids(now)) < prepared


def test_a_start_from_the_pool_needs_capacity(
    warm: Any, described: Any, later: Any, client: Clients, controlled: Any
) -> None:
    name = warm()
    controlled("capacity", pools={name: 0})
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(BOOT_S)
    assert ids(described(name)) == []


def test_a_deleted_pool_is_emptied(warm: Any, pool_of: Any, later: Any, client: Clients, described: Any) -> None:
    name = warm()
    client("autoscaling").delete_warm_pool(AutoScalingGroupName=name)
    later(10)
    assert (pool_of(name), "WarmPoolConfiguration" in described(name)) == ([], False)


def _mixed(template: str, **distribution: Any) -> dict[str, Any]:
    wanted = {"LaunchTemplateId": template, "Version": "1"}
    return {"LaunchTemplate": {"LaunchTemplateSpecification": wanted}, "InstancesDistribution": distribution}


def test_a_spot_group_has_no_warm_pool(group: Any, client: Clients, code_of: Any, launch_template: Any) -> None:
    name = group(MixedInstancesPolicy=_mixed(launch_template(), OnDemandPercentageAboveBaseCapacity=0))
    error = code_of(client("autoscaling").put_warm_pool, AutoScalingGroupName=name)
    assert error.message == "You can't add a warm pool to an Auto Scaling group that launches Spot Instances."


def test_a_mixed_group_of_on_demand_instances_has_one(
    group: Any, client: Clients, pool_of: Any, later: Any, launch_template: Any
) -> None:
    name = group(MaxSize=1, MixedInstancesPolicy=_mixed(launch_template(), OnDemandPercentageAboveBaseCapacity=100))
    client("autoscaling").put_warm_pool(AutoScalingGroupName=name)
    later(BOOT_S)
    assert [each["LifecycleState"] for each in pool_of(name)] == ["Warmed:Stopped"]
