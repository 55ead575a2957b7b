"""Single stories of a fleet's capacity, each with the end it must have; the rules behind them: ``capacity``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.hooks.fleet_world import Machine, World, fleet, pool

BLOCK = "cr-0123456789abcdef0"
SPOT, ON_DEMAND = pool("spot"), pool("on-demand")
RESERVED = pool("reservation", reservations=(BLOCK,))
ALL = {"spot": 9, "on-demand": 9, "reservation": 9, "capacity-block": 9}


def reasons(world: World) -> list[str]:
    return [move.reason for move in world.moves()]


# -- Instances that stand alone --------------------------------------------------------------------------------------


def test_part_of_a_pool_is_used_and_the_rest_comes_from_the_next() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 3, "on-demand": 9})
    world.minutes(8)
    assert world.serving() == {"spot": 3, "on-demand": 1}
    assert [(move.origins, move.destinations, move.count) for move in world.moves()] == [(("spot",), ("on-demand",), 1)]


def test_the_better_pool_is_tried_again_after_its_pause_and_what_serves_stays_until_it_serves() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("spot", 9)
    fewest = []
    for _ in range(20):
        world.minutes(1)
        fewest.append(sum(world.serving().values()))
    assert world.serving() == {"spot": 4, "on-demand": 0}
    assert min(fewest) == 4
    assert reasons(world) == ["short", "return"]


def test_a_return_that_finds_nothing_is_no_move() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 0, "on-demand": 9})
    world.minutes(60)
    assert world.serving() == {"spot": 0, "on-demand": 4}
    assert reasons(world) == ["short"]


def test_with_little_room_a_return_goes_on_instance_by_instance_without_another_pause() -> None:
    world = World(fleet(SPOT, ON_DEMAND, max=5), {"spot": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("spot", 9)
    world.minutes(6 + 4 * 5)
    assert world.serving() == {"spot": 4, "on-demand": 0}
    assert reasons(world) == ["short", "return"]


def test_without_room_nothing_returns_to_spot() -> None:
    world = World(fleet(SPOT, ON_DEMAND, max=4), {"spot": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("spot", 9)
    world.minutes(60)
    assert world.serving() == {"spot": 0, "on-demand": 4}


def test_without_room_a_reservations_free_places_are_taken_a_quarter_at_a_time() -> None:
    world = World(fleet(RESERVED, ON_DEMAND, max=4), {"reservation": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("reservation", 3)
    fewest = []
    for _ in range(30):
        world.minutes(1)
        fewest.append(sum(world.serving().values()))
    assert world.serving() == {"reservation": 3, "on-demand": 1}
    assert min(fewest) == 3


def test_with_room_nothing_ends_before_a_reservations_places_serve() -> None:
    world = World(fleet(RESERVED, ON_DEMAND, max=5), {"reservation": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("reservation", 9)
    fewest = []
    for _ in range(40):
        world.minutes(1)
        fewest.append(sum(world.serving().values()))
    assert world.serving() == {"reservation": 4, "on-demand": 0}
    assert min(fewest) == 4


def test_without_room_places_that_are_taken_or_not_active_are_no_evidence() -> None:
    world = World(fleet(RESERVED, ON_DEMAND, max=4), {"reservation": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("reservation", 3)
    world.active[BLOCK] = False
    world.minutes(40)
    assert world.serving() == {"reservation": 0, "on-demand": 4}


def test_nothing_is_lost_when_the_taker_of_a_swap_is_short_after_all() -> None:
    world = World(fleet(RESERVED, ON_DEMAND, max=4), {"reservation": 0, "on-demand": 4})
    world.minutes(6)
    seen = world.seen
    free = replace(seen().reservations[BLOCK], available=9, total=9)
    world.seen = lambda: replace(seen(), reservations={BLOCK: free})  # type: ignore[method-assign]
    world.minutes(40)
    assert min(sum(one.seen.groups[name].desired for name in world.groups) for one in world.steps[10:]) == 4
    assert world.serving()["on-demand"] >= 3


def test_the_base_is_in_its_pool_and_the_rest_in_the_preferred_one() -> None:
    world = World(fleet(SPOT, pool("on-demand", base=1)), ALL)
    world.minutes(5)
    assert world.serving() == {"spot": 3, "on-demand": 1}
    world.state = replace(world.state, moved_at=world.now)
    world.retarget(1)
    world.minutes(1)
    assert world.serving() == {"spot": 0, "on-demand": 1}


def test_a_base_that_could_not_be_had_comes_back() -> None:
    world = World(fleet(SPOT, pool("on-demand", base=1)), {"spot": 9, "on-demand": 0})
    world.minutes(6)
    assert world.serving() == {"spot": 4, "on-demand": 0}
    world.hold("on-demand", 1)
    world.minutes(20)
    assert world.serving() == {"spot": 3, "on-demand": 1}


def test_with_every_pool_short_what_runs_is_kept_and_the_first_that_recovers_is_used() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 1, "on-demand": 1})
    world.minutes(8)
    assert (world.serving(), world.state.unplaced) == ({"spot": 1, "on-demand": 1}, 2)
    world.hold("on-demand", 9)
    world.minutes(16)
    assert world.serving() == {"spot": 1, "on-demand": 3}


def test_what_an_interruption_takes_is_started_elsewhere_at_once_and_returns_after_the_pause() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 4, "on-demand": 9})
    world.minutes(5)
    world.interrupt("spot")
    world.minutes(1)
    assert world.desired() == {"spot": 4, "on-demand": 1}
    world.minutes(6)
    assert world.serving() == {"spot": 3, "on-demand": 1}
    world.hold("spot", 4)
    world.minutes(20)
    assert world.serving() == {"spot": 4, "on-demand": 0}


def test_a_group_that_replaces_an_interrupted_instance_itself_needs_no_other() -> None:
    world = World(fleet(SPOT, ON_DEMAND), ALL)
    world.minutes(5)
    world.interrupt("spot")
    world.minutes(7)
    assert world.serving() == {"spot": 4, "on-demand": 0}


def test_an_interruption_with_no_other_pool_is_made_good_in_the_same() -> None:
    world = World(fleet(SPOT), {"spot": 9})
    world.minutes(5)
    world.interrupt("spot")
    world.minutes(8)
    assert world.serving() == {"spot": 4}
    world.retarget(6)
    world.minutes(1)
    assert world.desired() == {"spot": 6}
    assert reasons(world) == []


def test_what_a_group_is_about_to_end_covers_nothing() -> None:
    """Spot was lowered to 2 a moment ago and has 4, two of which boot: its group may end the two that serve."""
    world = World(fleet(SPOT, ON_DEMAND), ALL)
    world.state = replace(world.state, desired={"spot": 2, "on-demand": 2}, target=3, moved_at=world.now)
    world.groups["spot"].machines = [Machine(f"i-s{number}", world.now + 600 * (number > 1)) for number in range(4)]
    world.groups["on-demand"].machines = [Machine(f"i-o{number}", world.now) for number in range(2)]
    world.control({})
    assert world.desired() == {"spot": 2, "on-demand": 2}


def test_a_lower_maximum_is_kept_at_once_whatever_serves() -> None:
    world = World(fleet(SPOT, ON_DEMAND, start=8), {"spot": 4, "on-demand": 4}, boot=9)
    world.minutes(4)
    world.groups["spot"].machines[0].serves_at = world.now
    world.fleet = replace(world.fleet, max=3)
    world.retarget(3)
    world.minutes(1)
    assert sum(world.desired().values()) == 3


def test_moves_follow_one_another_a_pause_apart_whatever_pools_they_are_between() -> None:
    world = World(fleet(RESERVED, SPOT, ON_DEMAND), {"reservation": 0, "spot": 4, "on-demand": 9})
    world.minutes(10)
    world.interrupt("spot")
    world.hold("reservation", 9)
    world.minutes(9)
    assert world.serving()["reservation"] == 0, "its own pause is over, but instances moved nine minutes ago"
    world.minutes(6)
    assert world.serving()["reservation"] == 4


def test_what_serves_counts_once_when_several_pools_give_way() -> None:
    world = World(fleet(RESERVED, SPOT, ON_DEMAND), {"reservation": 0, "spot": 2, "on-demand": 2})
    world.minutes(8)
    assert world.serving() == {"reservation": 0, "spot": 2, "on-demand": 2}
    world.hold("reservation", 4)
    while not world.groups["reservation"].machines:
        world.minutes(1)
    for machine in world.groups["reservation"].machines[:2]:
        machine.serves_at = world.now
    for machine in world.groups["reservation"].machines[2:]:
        machine.serves_at = world.now + 3600
    world.minutes(1)
    assert world.serving() == {"reservation": 2, "spot": 2, "on-demand": 0}


def test_a_smaller_target_ends_the_least_preferred_first_and_never_more_than_too_many() -> None:
    world = World(fleet(SPOT, ON_DEMAND, start=6), {"spot": 3, "on-demand": 9}, boot=5)
    world.minutes(12)
    world.retarget(4)
    world.minutes(1)
    assert world.desired() == {"spot": 3, "on-demand": 1}


def test_a_smaller_target_waits_for_those_that_boot() -> None:
    world = World(fleet(SPOT, start=6), {"spot": 9}, boot=5)
    world.minutes(2)
    world.groups["spot"].machines[0].serves_at = world.now
    world.retarget(2)
    world.minutes(1)
    assert world.desired() == {"spot": 6}, "ending some might end the one that serves"
    world.minutes(6)
    assert world.serving() == {"spot": 2}


def test_what_fails_by_mistake_moves_nothing_and_nothing_moves_into_it() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 0, "on-demand": 9})
    world.minutes(6)
    world.hold("spot", 9)
    world.groups["spot"].broken = True
    world.minutes(60)
    assert world.serving() == {"spot": 0, "on-demand": 4}
    assert reasons(world) == ["short"]


def test_what_fails_in_a_better_pool_is_given_up_while_the_old_serves() -> None:
    world = World(fleet(SPOT, ON_DEMAND), {"spot": 0, "on-demand": 9})
    world.minutes(6)
    world.groups["spot"].broken = True
    world.hold("spot", 9)
    world.minutes(12)
    assert world.desired() == {"spot": 0, "on-demand": 4}


def test_a_block_that_ends_hands_over_before_it_is_drained() -> None:
    block = pool("capacity-block", reservations=(BLOCK,))
    world = World(fleet(block, ON_DEMAND), ALL)
    world.minutes(5)
    world.block_end[BLOCK] = world.now + 50 * 60
    world.minutes(4)
    assert world.desired() == {"capacity-block": 4, "on-demand": 0}
    fewest = []
    for _ in range(10):
        world.minutes(1)
        fewest.append(sum(world.serving().values()))
    assert world.serving() == {"capacity-block": 0, "on-demand": 4}
    assert min(fewest) == 4
    assert reasons(world) == ["closing"]


def test_a_block_with_nothing_to_hand_over_to_is_drained_35_minutes_before_its_end() -> None:
    block = pool("capacity-block", reservations=(BLOCK,))
    world = World(fleet(block), ALL)
    world.minutes(5)
    world.block_end[BLOCK] = world.now + 50 * 60
    world.minutes(14)
    assert world.serving() == {"capacity-block": 4}
    world.minutes(1)
    assert (world.serving(), world.state.unplaced) == ({"capacity-block": 0}, 4)


# -- Gangs -----------------------------------------------------------------------------------------------------------


def test_a_gang_that_finds_part_of_a_pool_takes_none_of_it() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 3, "on-demand": 9})
    world.minutes(8)
    assert world.serving() == {"spot": 0, "on-demand": 4}
    assert reasons(world) == ["short"]


def test_a_gang_that_no_pool_holds_is_nowhere_and_tried_again() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 3, "on-demand": 3})
    world.minutes(6)
    assert (world.desired(), world.state.unplaced) == ({"spot": 0, "on-demand": 0}, 4)
    world.hold("on-demand", 4)
    world.minutes(20)
    assert world.serving() == {"spot": 0, "on-demand": 4}


def test_a_gang_that_lost_a_member_it_cannot_get_back_moves_whole() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True, max=4), {"spot": 4, "on-demand": 4})
    world.minutes(5)
    world.hold("spot", 3)
    world.kill("spot")
    world.minutes(8)
    assert world.serving() == {"spot": 0, "on-demand": 4}


def test_a_gang_that_can_get_its_member_back_stays() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), ALL)
    world.minutes(5)
    world.kill("spot")
    world.minutes(5)
    assert world.serving() == {"spot": 4, "on-demand": 0}
    assert reasons(world) == []


def test_an_interrupted_gang_moves_whole_or_waits_for_its_group_when_there_is_nowhere_else() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), ALL)
    world.minutes(5)
    world.interrupt("spot")
    world.minutes(1)
    assert world.desired() == {"spot": 0, "on-demand": 4}
    alone = World(fleet(SPOT, gang=True), ALL)
    alone.minutes(5)
    alone.interrupt("spot")
    alone.minutes(6)
    assert alone.serving() == {"spot": 4}
    assert {step.orders["spot"] for step in alone.steps} == {4}


def test_a_gang_returns_beside_itself_when_there_is_room_for_two() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 0, "on-demand": 4})
    world.minutes(6)
    world.hold("spot", 4)
    fewest = []
    for _ in range(20):
        world.minutes(1)
        fewest.append(sum(world.serving().values()))
    assert world.serving() == {"spot": 4, "on-demand": 0}
    assert min(fewest) == 4
    assert reasons(world) == ["short", "return"]


def test_a_gang_whose_return_fails_has_not_moved() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 3, "on-demand": 4})
    world.minutes(60)
    assert world.serving() == {"spot": 0, "on-demand": 4}
    assert reasons(world) == ["short"]


def test_a_gang_that_moved_stays_for_a_pause() -> None:
    world = World(fleet(RESERVED, SPOT, ON_DEMAND, gang=True), {"reservation": 0, "spot": 4, "on-demand": 9})
    world.minutes(10)
    world.interrupt("spot")
    world.hold("reservation", 9)
    world.minutes(9)
    assert world.serving() == {"reservation": 0, "spot": 0, "on-demand": 4}
    world.minutes(7)
    assert world.serving() == {"reservation": 4, "spot": 0, "on-demand": 0}


@pytest.mark.parametrize(("free", "ends_in"), [(4, "reservation"), (3, "on-demand")])
def test_without_room_a_gang_returns_on_a_reservations_evidence_alone(free: int, ends_in: str) -> None:
    world = World(fleet(SPOT, RESERVED, ON_DEMAND, gang=True, max=4), {"spot": 0, "reservation": 0, "on-demand": 4})
    world.minutes(10)
    world.hold("reservation", free)
    world.hold("spot", 4)
    world.minutes(30)
    assert {name for name, count in world.serving().items() if count} == {ends_in}


def test_a_gang_does_not_grow_in_a_pool_that_is_short() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 3, "on-demand": 9})
    world.minutes(1)
    world.retarget(5)
    world.control({})
    assert world.desired() == {"spot": 0, "on-demand": 5}


def test_a_gang_that_boots_is_not_moved() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 0, "on-demand": 4}, boot=30)
    world.minutes(6)
    world.hold("spot", 4)
    world.minutes(20)
    assert world.desired() == {"spot": 0, "on-demand": 4}


def test_a_gang_is_not_asked_of_a_block_that_is_too_small() -> None:
    block = pool("capacity-block", reservations=(BLOCK,))
    world = World(fleet(block, ON_DEMAND, gang=True, max=16), {"capacity-block": 4, "on-demand": 9})
    world.minutes(5)
    assert world.serving() == {"capacity-block": 4, "on-demand": 0}
    world.retarget(5)
    world.minutes(1)
    assert world.desired() == {"capacity-block": 0, "on-demand": 5}


@pytest.mark.parametrize(("most", "after_closing", "after_draining"), [(8, 4, 0), (4, 4, 0)])
def test_a_gang_leaves_a_block_that_ends(most: int, after_closing: int, after_draining: int) -> None:
    block = pool("capacity-block", reservations=(BLOCK,))
    world = World(fleet(block, ON_DEMAND, gang=True, max=most), ALL, boot=8)
    world.minutes(10)
    world.block_end[BLOCK] = world.now + 50 * 60
    world.minutes(6)
    assert world.desired() == {"capacity-block": after_closing, "on-demand": 4 if most == 8 else 0}
    world.minutes(9)
    assert world.desired() == {"capacity-block": after_draining, "on-demand": 4}
    assert reasons(world) == ["closing"]


def test_a_gang_with_nowhere_to_go_stays_in_its_block_until_it_is_drained() -> None:
    block = pool("capacity-block", reservations=(BLOCK,))
    world = World(fleet(block, ON_DEMAND, gang=True), {"capacity-block": 4, "on-demand": 0})
    world.minutes(5)
    world.block_end[BLOCK] = world.now + 50 * 60
    world.minutes(14)
    assert world.serving()["capacity-block"] == 4
    world.minutes(1)
    assert world.desired()["capacity-block"] == 0


def test_a_gang_does_not_try_a_pool_whose_launches_fail_by_mistake() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), {"spot": 0, "on-demand": 4})
    world.minutes(6)
    world.groups["spot"].broken = True
    world.hold("spot", 4)
    world.minutes(40)
    assert world.serving() == {"spot": 0, "on-demand": 4}
    assert reasons(world) == ["short"]


def test_a_gang_is_not_placed_where_launches_failed_by_mistake_a_moment_ago() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True, start=0), ALL)
    world.state = replace(world.state, failing={"spot": world.now})
    world.retarget(4)
    world.minutes(1)
    assert world.desired() == {"spot": 0, "on-demand": 4}


def test_a_gang_of_none_is_nowhere() -> None:
    world = World(fleet(SPOT, ON_DEMAND, gang=True), ALL)
    world.minutes(5)
    world.retarget(0)
    world.minutes(1)
    assert (world.desired(), world.state.unplaced) == ({"spot": 0, "on-demand": 0}, 0)
