"""What holds for a fleet's controller whatever happens: each rule of ``capacity``, over simulated worlds.

A story is a list of minutes and what happens in them; events come up to five minutes late, doubled and shuffled, and
one run in ten is killed between deciding and acting.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from neuron_hooks.fleet import settings as fleet_settings
from tests.hooks.fleet_world import Step, World, fleet, pool

BLOCK = "cr-0123456789abcdef0"
PAUSE = 600

Story = list[tuple[int, str, str, int]]


@dataclass
class Case:
    """A fleet, its world at first, and its story."""

    fleet: fleet_settings.Fleet
    holds: dict[str, int]
    boot: int
    seed: int
    story: Story

    def play(self, check: Callable[[Step], None] = lambda step: None) -> World:
        world = World(self.fleet, self.holds, boot=self.boot, chaos=random.Random(self.seed), check=check)
        for minutes, what, where, count in self.story:
            if what == "hold":
                world.hold(where, count)
            elif what == "kill":
                world.kill(where)
            elif what == "interrupt" and where.startswith("spot"):
                world.interrupt(where)
            elif what == "target":
                world.retarget(count)
            elif what == "end" and BLOCK in world.active:
                world.block_end[BLOCK] = world.now + 50 * 60
            elif what == "break":
                world.groups[where].broken = not world.groups[where].broken
            world.minutes(minutes)
        return world


def fleets(gang: bool) -> st.SearchStrategy[fleet_settings.Fleet]:
    names = st.lists(
        st.sampled_from(("capacity-block", "reservation", "on-demand", "spot")), min_size=1, max_size=3, unique=True
    )

    def make(names: list[str], base: int, most: int, start: int) -> fleet_settings.Fleet:
        pools = [
            pool(
                name,
                base=base if name == "on-demand" and not gang else 0,
                reservations=(BLOCK,) if name == "capacity-block" else (),
            )
            for name in names
        ]
        return fleet(*pools, gang=gang, max=most, start=min(start, most), return_after_s=PAUSE)

    return st.builds(make, names, st.sampled_from((0, 0, 1, 2)), st.integers(2, 9), st.integers(0, 9))


@st.composite
def cases(draw: st.DrawFn, gang: bool | None = None, mistakes: bool = False) -> Case:
    one = draw(fleets(draw(st.booleans()) if gang is None else gang))
    names = [each.name for each in one.pools]
    what = ["hold", "hold", "kill", "interrupt", "target", "end", "none"] + (["break"] if mistakes else [])
    event = st.tuples(st.integers(1, 14), st.sampled_from(what), st.sampled_from(names), st.integers(0, one.max))
    return Case(
        fleet=one,
        holds={name: draw(st.integers(0, one.max)) for name in names},
        boot=draw(st.integers(0, 7)),
        seed=draw(st.integers(0, 2**16)),
        story=draw(st.lists(event, max_size=14)),
    )


def over(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The same worlds on every run: a failure is there again the next time."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )


def sure(step: Step, name: str, desired: int) -> int:
    """Instances that serve now and at worst still will when the pool is asked for this many."""
    group = step.seen.groups[name]
    serving = sum(one.serving and one.id not in step.before.doomed for one in group.instances)
    return max(0, serving - max(0, len(group.instances) - desired))


def surely(step: Step, desired: dict[str, int]) -> int:
    return sum(sure(step, name, count) for name, count in desired.items())


@given(cases())
@over(80)
def test_the_sum_asked_of_the_pools_never_exceeds_the_maximum(case: Case) -> None:
    def check(step: Step) -> None:
        assert sum(step.orders.values()) <= case.fleet.max

    world = case.play(check)
    assert sum(world.desired().values()) <= case.fleet.max


@given(cases())
@over(60)
def test_the_instances_there_are_never_exceed_the_maximum(case: Case) -> None:
    def check(step: Step) -> None:
        assert sum(len(group.instances) for group in step.seen.groups.values()) <= case.fleet.max

    case.play(check)


def may_be_lost(step: Step) -> int:
    """How much service may end before something else serves: on evidence from a reservation, and no other."""
    block = step.seen.reservations.get(BLOCK)
    if block is None:
        return 0
    if not block.active or (block.end is not None and step.before.now >= block.end - 35 * 60):
        return 99
    return max(1, step.before.target // 4) if block.available else 0


@given(cases(gang=False))
@over(80)
def test_what_serves_is_never_ended_before_something_else_serves(case: Case) -> None:
    def check(step: Step) -> None:
        before, after = surely(step, dict(step.before.desired)), surely(step, step.orders)
        assert after >= min(before, step.before.target) - may_be_lost(step)

    case.play(check)


@given(cases())
@over(80)
def test_a_pool_found_short_is_not_asked_for_more_before_its_pause_is_over(case: Case) -> None:
    def check(step: Step) -> None:
        for name, shortage in step.before.short.items():
            if step.before.now < shortage.at + PAUSE and step.orders[name] > step.before.desired[name]:
                # A group follows its target where it is whole already; it launches nothing new.
                assert step.orders[name] <= len(step.seen.groups[name].instances)

    case.play(check)


@given(cases(mistakes=True))
@over(60)
def test_moves_back_start_a_pause_apart(case: Case) -> None:
    moved: list[int] = []

    def check(step: Step) -> None:
        if step.after.moved_at != step.before.moved_at:
            is_return = not any(move.reason != "return" for move in step.decision.moves)
            assert not is_return or not moved or step.before.now >= moved[-1] + PAUSE
            moved.append(step.before.now)

    case.play(check)


@given(cases(gang=False))
@over(60)
def test_base_is_placed_first_and_leaves_last(case: Case) -> None:
    home = next((one for one in case.fleet.pools if one.base), None)
    assume(home is not None)
    assert home is not None

    def check(step: Step) -> None:
        hurt = home.name in step.before.short or home.name in step.before.interrupted
        wanted = min(home.base, step.before.target)
        lowered = step.orders[home.name] < min(wanted, step.before.desired[home.name])
        assert hurt or not lowered
        raised = [name for name, count in step.orders.items() if count > step.before.desired[name]]
        assert hurt or not raised or step.orders[home.name] >= wanted or home.name in raised

    case.play(check)


@given(cases(gang=True))
@over(80)
def test_a_gang_is_whole_in_one_pool_or_nowhere(case: Case) -> None:
    def check(step: Step) -> None:
        target = step.before.target
        asked = [count for count in step.orders.values() if count]
        assert all(count == target for count in asked)
        assert len(asked) <= (2 if 2 * target <= case.fleet.max else 1)

    case.play(check)


@given(cases(gang=True))
@over(80)
def test_a_whole_gang_is_left_alone_unless_a_reservation_tells_otherwise(case: Case) -> None:
    def check(step: Step) -> None:
        target = step.before.target
        whole = [name for name in step.orders if target and sure(step, name, step.before.desired[name]) >= target]
        assert not whole or may_be_lost(step) or any(step.orders[name] >= target for name in whole)

    case.play(check)


@given(cases(), st.integers(0, 9))
@over(40)
def test_a_block_is_empty_when_ec2_begins_to_end_it(case: Case, target: int) -> None:
    assume(any(one.is_block for one in case.fleet.pools))
    world = case.play()
    world.retarget(target)
    world.block_end[BLOCK] = world.now + 50 * 60
    world.minutes(19)
    assert world.desired()["capacity-block"] == 0


@given(cases(), st.integers(0, 9))
@over(80)
def test_in_a_constant_world_it_comes_to_rest_in_the_best_pools(case: Case, target: int) -> None:
    target = min(target, case.fleet.max)
    has_room = 2 * target <= case.fleet.max if case.fleet.gang else target < case.fleet.max
    world = case.play()
    world.retarget(target)
    settle(world)
    wanted = best(world, target)
    if has_room:
        assert held(world, target) == wanted
    assert sum(held(world, target).values()) == sum(wanted.values())
    steps, rested = len(world.steps), held(world, target)
    world.minutes(30)
    assert held(world, target) == rested
    if sum(wanted.values()) == target:  # else it goes on trying, a pause apart
        assert [move for step in world.steps[steps:] for move in step.decision.moves] == []


def held(world: World, target: int) -> dict[str, int]:
    """What serves; a gang that is only being tried does not."""
    return {name: 0 if world.fleet.gang and count < target else count for name, count in world.serving().items()}


def settle(world: World) -> None:
    """Nothing happens any more, for as long as moves one by one may take."""
    world.chaos = None
    for group in world.groups.values():
        group.holds = max(group.holds, len(group.machines))
    world.minutes(60 + 12 * world.fleet.max)


def best(world: World, target: int) -> dict[str, int]:
    """What the pools' true capacity allows, found in another way: of all ways to place the target, the best."""
    pools = world.fleet.pools
    holds = [
        0 if world.block_end.get(next(iter(one.reservations), "")) else world.groups[one.name].holds for one in pools
    ]
    ways = product(*(range(min(target, most) + 1) for most in holds))
    if world.fleet.gang:
        ways = (way for way in ways if max(way) in (0, target) and sum(map(bool, way)) <= 1)
    bases = [one.base for one in pools]

    def worth(way: tuple[int, ...]) -> tuple[object, ...]:
        return sum(way), [min(count, base) for count, base in zip(way, bases, strict=True)], way

    found = max((way for way in ways if sum(way) <= target), key=worth)
    return dict(zip((one.name for one in pools), found, strict=True))


@given(cases(mistakes=True))
@over(60)
def test_a_mistake_moves_nothing(case: Case) -> None:
    for name in case.holds:
        case.holds[name] = 99
    case.story = [
        (minutes, what, where, count) for minutes, what, where, count in case.story if what in ("break", "none")
    ]
    assert case.play().moves() == []
