"""Scheduled actions change the limits of a scalable target, and its size follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from tests.local.scalable_targets import COUNT, Target

Clients = Callable[[str], Any]
Later = Callable[[float], float]


@pytest.fixture(scope="module")
def moments() -> ModuleType:
    """When schedules are due: it needs nothing of the server's environment."""
    import neuron_cdk.local.server.moments as moments

    return moments


def test_a_schedule_changes_the_limits_and_the_size_follows(
    target: Any, eventually: Any, settled: Any, later: Later
) -> None:
    one = target()
    now = later(0)
    at = datetime.fromtimestamp(now + 600, UTC).strftime("at(%Y-%m-%dT%H:%M:%S)")
    one.schedule("up", at, MinCapacity=2, MaxCapacity=3)
    later(599)
    assert one.count == 1
    later(2)
    eventually(lambda: one.count == 2)
    settled(one.name)
    causes = [activity["Cause"] for activity in one.activities()]
    assert causes == ["minimum capacity was set to 2", "scheduled action name up was triggered"]
    assert one.activities()[1]["StatusMessage"] == "Successfully set min capacity to 2 and max capacity to 3"
    (described,) = one.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[one.identity["ResourceId"]]
    )["ScalableTargets"]
    assert (described["MinCapacity"], described["MaxCapacity"]) == (2, 3)


def test_scheduled_actions_are_described_and_deleted_with_their_target(nowhere: Target, code_of: Any) -> None:
    nowhere.schedule("morning", "cron(0 8 ? * MON-FRI *)", MinCapacity=2)
    nowhere.schedule("often", "rate(2 hours)", MaxCapacity=3)
    found = nowhere.scaling.describe_scheduled_actions(**nowhere.identity)["ScheduledActions"]
    assert {action["ScheduledActionName"]: action["Schedule"] for action in found} == {
        "morning": "cron(0 8 ? * MON-FRI *)",
        "often": "rate(2 hours)",
    }
    nowhere.scaling.delete_scheduled_action(**nowhere.identity, ScheduledActionName="often")
    nowhere.deregister()
    assert nowhere.scaling.describe_scheduled_actions(**nowhere.identity)["ScheduledActions"] == []


@pytest.mark.parametrize(
    ("schedule", "following"),
    [
        ("cron(0 8 ? * MON-FRI *)", "2026-11-27T08:00"),
        ("cron(0 8 ? * 2-6 *)", "2026-11-27T08:00"),
        ("cron(30 9 1 * ? *)", "2026-12-01T09:30"),
        ("cron(0 0 1 1 ? 2028)", "2028-01-01T00:00"),
        ("cron(0 0 1 1 ? 2025)", None),
        ("cron(0/15 * * * ? *)", "2026-11-26T20:15"),
        ("rate(2 hours)", "2026-11-26T22:10"),
        ("at(2026-12-24T18:00:00)", "2026-12-24T18:00"),
        ("at(2026-11-24T18:00:00)", None),
    ],
)
def test_when_a_schedule_is_due(moments: ModuleType, schedule: str, following: str | None) -> None:
    thursday = datetime(2026, 11, 26, 20, 10, tzinfo=UTC)
    found = moments.following(schedule, thursday.timestamp())
    expected = None if following is None else datetime.fromisoformat(following).replace(tzinfo=UTC).timestamp()
    assert found == expected


@pytest.mark.parametrize(
    "schedule", ["cron(0 8 * * MON *)", "cron(0 8 * * *)", "cron(0 8 L * ? *)", "rate(0 hours)", "rate(2 weeks)", "now"]
)
def test_a_schedule_that_is_none_is_refused(nowhere: Target, code_of: Any, schedule: str) -> None:
    refused = code_of(
        nowhere.scaling.put_scheduled_action,
        **nowhere.identity,
        ScheduledActionName="wrong",
        Schedule=schedule,
        ScalableTargetAction={"MinCapacity": 1},
    )
    assert refused.code == "ValidationException"
    assert "Invalid schedule expression" in refused.message


def test_a_stack_puts_and_removes_a_targets_scheduled_actions(client: Clients, operate: Callable[..., str]) -> None:
    identity = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/of-stack/variant/Main"}

    def template(*names: str) -> dict[str, Any]:
        actions = [
            {
                "ScheduledActionName": name,
                "Schedule": "cron(0 8 ? * MON-FRI *)",
                "ScalableTargetAction": {"MinCapacity": "2"},
            }
            for name in names
        ]
        properties = identity | {"ScalableDimension": COUNT, "MinCapacity": 1, "MaxCapacity": 4}
        return {
            "Target": {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Properties": properties | {"ScheduledActions": actions},
            }
        }

    def names() -> list[str]:
        found = client("application-autoscaling").describe_scheduled_actions(**identity)["ScheduledActions"]
        return sorted(action["ScheduledActionName"] for action in found)

    assert operate("create", "scheduled", template("one", "two")) == "CREATE_COMPLETE"
    assert names() == ["one", "two"]
    assert operate("update", "scheduled", template("two")) == "UPDATE_COMPLETE"
    assert names() == ["two"]
    assert operate("delete", "scheduled") == "DELETE_COMPLETE"
    assert names() == []
