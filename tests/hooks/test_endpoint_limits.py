"""What a scheduled action has set outlives a deployment that does not declare other limits."""

from __future__ import annotations

from tests.hooks.endpoint_world import INF2, MAIN, NIGHT, TRACK, TRN1, Deployment, step, target

SCALES = target("Main", TRACK, least=1, most=4, schedules=[NIGHT])


def night_comes(stack: Deployment) -> None:
    stack.aws.targets[MAIN] |= {"MinCapacity": NIGHT["min"], "MaxCapacity": NIGHT["max"]}


def limits(stack: Deployment) -> tuple[int, int]:
    found = stack.aws.targets[MAIN]
    return found["MinCapacity"], found["MaxCapacity"]


def test_another_model_leaves_the_limits_of_the_hour(stack: Deployment) -> None:
    one, two = stack.declared(1, SCALES), stack.declared(2, SCALES)
    stack.create(one)
    assert limits(stack) == (1, 4)
    night_comes(stack)
    assert stack.update(two, one)["Status"] == "SUCCESS"
    assert limits(stack) == (1, 2)


def test_other_limits_in_the_file_count_at_once(stack: Deployment) -> None:
    one = stack.declared(1, SCALES)
    two = stack.declared(2, target("Main", TRACK, least=2, most=6, schedules=[NIGHT]))
    stack.create(one)
    night_comes(stack)
    assert stack.update(two, one)["Status"] == "SUCCESS"
    assert limits(stack) == (2, 6)


def test_limits_that_no_schedule_sets_are_put_right(stack: Deployment) -> None:
    one, two = stack.declared(1, SCALES), stack.declared(2, SCALES)
    stack.create(one)
    stack.aws.targets[MAIN] |= {"MinCapacity": 0, "MaxCapacity": 9}
    assert stack.update(two, one)["Status"] == "SUCCESS"
    assert limits(stack) == (1, 4)


def test_a_version_that_failed_leaves_no_limits(stack: Deployment) -> None:
    """The new version's limits are those of the night, by chance: they must not pass for it."""
    one = stack.declared(1, SCALES)
    two = stack.declared(2, target("Main", TRACK, least=1, most=2, schedules=[NIGHT]))
    stack.create(one)
    night_comes(stack)
    stack.send("Change", "Update", one, two)
    assert stack.send("InService", "Update", one, two)["Status"] == "SUCCESS"
    assert limits(stack) == (1, 4)


def test_a_target_that_made_way_begins_with_the_files_limits(stack: Deployment) -> None:
    one, two = stack.declared(1, SCALES, variants={"Main": INF2}), stack.declared(2, SCALES, variants={"Main": TRN1})
    stack.create(one)
    night_comes(stack)
    assert stack.update(two, one)["Status"] == "SUCCESS"
    assert limits(stack) == (1, 4)


def test_an_event_that_mends_an_alarm_leaves_the_limits_of_the_hour(stack: Deployment) -> None:
    stack.create(stack.declared(1, target("Main", step("grow"), schedules=[NIGHT])))
    night_comes(stack)
    stack.aws.alarms.clear()
    stack.event()
    assert stack.aws.alarms
    assert limits(stack) == (1, 2)
