"""How a fleet's instances are spread over its pools. Pure: the same state and sight give the same decision.

Level-triggered: a decision is made anew from what is remembered and what is seen, whatever woke the controller. Nothing
depends on an event having been seen, on its order or on how often it came; an act that never happened is simply decided
again.

A decision has two parts. *Where* the target should be: what the pools hold already, moved as little as can be
(``_kept``), or the best that can be had (``_best``). And how far to go *now* (``_step``) without ending what serves
before something else does.

Rules, each with a property test over a simulated world:

1. The pools are never asked for more than the fleet's ``max`` in all.
2. A pool is lowered only where nothing runs, or as far as what serves and stays covers the target: make before break.
   Break before make needs evidence: free places in an active reservation; a block that EC2 is about to end; a gang that
   lost a member and cannot get it back.
3. A pool found short keeps what it has and is not asked for more until ``return_after_s`` has passed. Its missing
   instances go to the next pool. With every pool short, what runs is kept and the rest is unplaced.
4. Moves back to better pools start ``return_after_s`` apart, counted from any move. Without room inside ``max`` they
   need a reservation's evidence: never for spot or on-demand.
5. The ``base`` of a pool is placed there first, and taken from there last.
6. A gang is whole in one pool, or it is nowhere: one that cannot be completed is released. While a gang moves and
   ``max`` has room for two, both are whole.
7. A block that ends within 45 minutes is closed, and its instances move.
8. Launches that fail by mistake (image, permission, readiness) move nothing: another pool would fail alike. What is
   placed stays; nothing moves back into such a pool.
9. In a constant world it comes to rest in the best pools that hold the target, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .pool_view import PoolView, view
from .seen import Seen
from .settings import Fleet
from .state import State

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Move:
    """Instances leave pools for others. ``reason``: ``short``, ``interrupted``, ``closing`` or ``return``."""

    origins: tuple[str, ...]
    destinations: tuple[str, ...]
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Placement:
    """What each pool is asked for, and how many found no place.

    :param returning: a return to better pools is under way; ``starts_return``: it starts with this placement.
    :param departure: instances leave pools that cannot hold them any more.
    """

    desired: Mapping[str, int]
    unplaced: int = 0
    returning: bool = False
    starts_return: bool = False
    departure: Move | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The state to write, the groups to set (by pool), and the moves: departures that start, returns that are done."""

    state: State
    orders: Mapping[str, int]
    moves: tuple[Move, ...] = ()


def decide(fleet: Fleet, state: State, seen: Seen) -> Decision:
    """Where the fleet's instances should be now.

    :param state: with everything learned, its ``now`` and its ``target``; ``desired`` as last asked for.
    """
    if not fleet.owns_size:
        return _followed(fleet, state, seen)
    pools = view(fleet, state, seen)
    may_return = state.renewal is None and state.now >= state.moved_at + fleet.return_after_s
    if fleet.gang:
        placed = _gang(pools, state.target, fleet.max, may_return)
    else:
        placed = _spread(pools, state, fleet.max, may_return)
    returned = _returned(pools, state, placed)
    after = replace(
        state,
        desired=dict(placed.desired),
        unplaced=placed.unplaced,
        returning=placed.returning,
        moved_at=state.now if placed.starts_return or placed.departure else state.moved_at,
        before_return=_before_return(state, placed),
    )
    return Decision(after, after.desired, tuple(move for move in (placed.departure, returned) if move))


def _followed(fleet: Fleet, state: State, seen: Seen) -> Decision:
    """A group that scales itself: its size is noted, and a closed block is emptied."""
    sizes = {pool.name: seen.groups[pool.name].desired for pool in fleet.pools}
    state = replace(state, desired=sizes, target=sum(sizes.values()))
    return Decision(state, {pool.name: 0 for pool in view(fleet, state, seen) if pool.closed})


def _before_return(state: State, placed: Placement) -> Mapping[str, int]:
    """What the pools were asked for when the return started that is not over yet."""
    if placed.starts_return and not state.before_return:
        return state.desired
    return {} if _is_over(state, placed) else state.before_return


def _is_over(state: State, placed: Placement) -> bool:
    """Whether nothing is held twice any more."""
    return not placed.returning and sum(placed.desired.values()) <= state.target


def _returned(pools: Sequence[PoolView], state: State, placed: Placement) -> Move | None:
    """The return that is over, if it brought instances to better pools: one that found none there is no move."""
    if not state.before_return or not _is_over(state, placed):
        return None
    before = {pool.name: state.before_return.get(pool.name, 0) for pool in pools}
    move = _difference(pools, before, placed.desired)
    return move if move.origins and move.destinations else None


def _difference(pools: Sequence[PoolView], before: Mapping[str, int], after: Mapping[str, int]) -> Move:
    origins = tuple(pool.name for pool in pools if after[pool.name] < before[pool.name])
    destinations = tuple(pool.name for pool in pools if after[pool.name] > before[pool.name])
    return Move(origins, destinations, sum(max(0, after[name] - before[name]) for name in after), "return")


# -- Instances that stand alone --------------------------------------------------------------------------------------


def _spread(pools: Sequence[PoolView], state: State, most: int, may_return: bool) -> Placement:
    target = state.target
    kept = _kept(pools, target)
    best = _best(pools, kept, target)
    unplaced = target - sum(kept.values())
    stay = _step(pools, kept, target, most)
    if best != kept and (may_return or (state.returning and state.renewal is None)):
        go = _swap(pools, _step(pools, best, target, most), best, target, most)
        starts = any(go[pool.name] > stay[pool.name] for pool in pools)
        if starts or (state.returning and _overlaps(pools, go, target)):
            return Placement(go, unplaced, returning=True, starts_return=starts and not state.returning)
    return Placement(stay, unplaced, departure=_departure(pools, stay))


def _kept(pools: Sequence[PoolView], target: int) -> Counts:
    """The target, moved as little as can be: what pools hold and may hold, the excess taken off, the rest filled up."""
    held = {pool.name: min(pool.desired, pool.wary_cap) for pool in pools}
    return _filled(pools, _trimmed(pools, held, target), target)


def _best(pools: Sequence[PoolView], kept: Counts, target: int) -> Counts:
    """The target in the best pools there are. One whose launches fail gains and loses nothing by it."""
    cautious = {pool.name: min(pool.wary_cap, kept[pool.name]) if pool.failing else pool.wary_cap for pool in pools}
    return _filled(pools, _with_base(pools, _zeros(pools), cautious, target), target)


def _filled(pools: Sequence[PoolView], placed: Counts, target: int) -> Counts:
    """What is missing, placed; in pools that were just interrupted only when no other has room."""
    placed = _with_base(pools, placed, {pool.name: pool.wary_cap for pool in pools}, target)
    return _with_base(pools, placed, {pool.name: pool.cap for pool in pools}, target)


def _with_base(pools: Sequence[PoolView], placed: Counts, caps: Mapping[str, int], target: int) -> Counts:
    bases = {pool.name: min(pool.pool.base, caps[pool.name]) for pool in pools}
    return _raised(pools, _raised(pools, placed, bases, target), caps, target)


def _raised(pools: Iterable[PoolView], placed: Counts, wanted: Mapping[str, int], most: int) -> Counts:
    """Each pool raised to what is wanted of it, in order, while the sum is below ``most``."""
    raised = dict(placed)
    for pool in pools:
        room = most - sum(raised.values())
        raised[pool.name] += max(0, min(room, wanted[pool.name] - raised[pool.name]))
    return raised


def _trimmed(pools: Sequence[PoolView], held: Counts, target: int) -> Counts:
    """The excess taken off: first what fails to come into service, then from the least preferred pool, base last."""
    idle = {pool.name: min(held[pool.name], pool.serving) if pool.failing else held[pool.name] for pool in pools}
    bases = {pool.name: min(held[pool.name], pool.pool.base) for pool in pools}
    trimmed = dict(held)
    for floor in (idle, bases, _zeros(pools)):
        for pool in reversed(pools):
            excess = max(0, sum(trimmed.values()) - target)
            trimmed[pool.name] -= max(0, min(excess, trimmed[pool.name] - floor[pool.name]))
    return trimmed


def _step(pools: Sequence[PoolView], goal: Counts, target: int, most: int) -> Counts:
    """What to ask for now on the way to a goal: lower what may be lowered, then raise while ``most`` has room."""
    asked = _cut(pools, _lowered(pools, goal, target), most)
    return _raised(pools, asked, goal, most)


def _lowered(pools: Sequence[PoolView], goal: Counts, target: int) -> Counts:
    """Pools above their goal, lowered from the least preferred on, as far as what surely serves covers the target.

    What does not run can always be taken back. A pool that is drained is lowered whatever that leaves.
    """
    spare = sum(pool.sure for pool in pools) - target
    asked = {pool.name: pool.desired for pool in pools}
    for pool in reversed(pools):
        over = max(0, pool.running - goal[pool.name])
        # A group may end instances in service before those that boot: a release costs as much service as it can.
        free = pool.drained or min(over, pool.sure) <= max(0, spare)
        release = over if free else max(0, spare)
        asked[pool.name] = min(pool.desired, max(goal[pool.name], pool.running - release))
        spare -= min(release, pool.sure)
    return asked


def _cut(pools: Sequence[PoolView], asked: Counts, most: int) -> Counts:
    """The sum within ``most``, whatever that ends: a deployment may have lowered it."""
    cut = dict(asked)
    for pool in reversed(pools):
        cut[pool.name] -= min(cut[pool.name], max(0, sum(cut.values()) - most))
    return cut


def _swap(pools: Sequence[PoolView], asked: Counts, goal: Counts, target: int, most: int) -> Counts:
    """Without room: places that are free in reservations are taken, and as many instances end first elsewhere.

    At most a quarter of the target at a time, and only while all of it serves.
    """
    if target < most or sum(pool.sure for pool in pools) < target:
        return asked
    swapped, left = dict(asked), max(1, target // 4)
    for taker in pools:
        for giver in reversed(pools):
            lacking = goal[taker.name] - swapped[taker.name]
            free = taker.available - max(0, swapped[taker.name] - taker.desired)
            count = max(0, min(left, lacking, free, swapped[giver.name] - goal[giver.name]))
            swapped[taker.name] += count
            swapped[giver.name] -= count
            left -= count
    return swapped


def _overlaps(pools: Sequence[PoolView], asked: Counts, target: int) -> bool:
    """Whether a return waits: for what it started to serve, or for what it replaced to end."""
    return sum(asked.values()) > target or sum(pool.sure for pool in pools) < target


def _departure(pools: Sequence[PoolView], asked: Counts) -> Move | None:
    """The move that starts when others take over what pools cannot hold any more."""
    lost = {pool.name: pool.desired - min(pool.desired, pool.wary_cap) for pool in pools}
    raised = {pool.name: asked[pool.name] - pool.desired for pool in pools if asked[pool.name] > pool.desired}
    leaving = [pool for pool in pools if lost[pool.name] > 0 and pool.name not in raised]
    if not leaving or not raised:
        return None
    count = min(sum(lost.values()), sum(raised.values()))
    return Move(tuple(pool.name for pool in leaving), tuple(raised), count, _reason(leaving[0]))


def _reason(pool: PoolView) -> str:
    if pool.closed:
        return "closing"
    return "short" if pool.short else "interrupted"


# -- Gangs -----------------------------------------------------------------------------------------------------------


def _gang(pools: Sequence[PoolView], target: int, most: int, may_return: bool) -> Placement:
    if target == 0:
        return _nowhere(pools, 0)
    holders = [pool for pool in pools if pool.desired > 0]
    able = [pool for pool in holders if not pool.closed and not _is_lost(pool, target)]
    if not able:
        return _gang_leaves(pools, holders, target, most)
    home = able[0]
    whole = [pool for pool in holders if pool.sure >= target]
    if whole and home not in whole:
        return _gang_arrives(pools, whole[0], home, target, most)
    return _gang_returns(pools, home, target, most) if whole and may_return else _only(pools, home, target)


def _is_lost(pool: PoolView, target: int) -> bool:
    """Whether the gang cannot be completed here."""
    return pool.cap < target or (pool.interrupted and pool.alive < target)


def _gang_leaves(pools: Sequence[PoolView], holders: Sequence[PoolView], target: int, most: int) -> Placement:
    """To the first pool that may be tried; with none, it stays where it is whole or may become so, or is released."""
    origin = holders[0] if holders else None
    coming = next(iter(_candidates(pools, holders, target)), None)
    if coming is None:
        return _only(pools, origin, target) if origin and _may_stay(origin, target) else _nowhere(pools, target)
    if origin is None:
        return _only(pools, coming, target)
    is_whole = origin.sure >= target
    placed = _gang_arrives(pools, origin, coming, target, most) if is_whole else _only(pools, coming, target)
    move = Move((origin.name,), (coming.name,), target, _reason(origin))
    return replace(placed, departure=move if placed.desired[coming.name] else None)


def _may_stay(pool: PoolView, target: int) -> bool:
    """A closed block keeps a gang until it is drained; after an interruption the group replaces what it lost."""
    if pool.closed:
        return pool.sure >= target and not pool.drained
    return pool.cap >= target


def _candidates(pools: Sequence[PoolView], holders: Sequence[PoolView], target: int) -> list[PoolView]:
    """Pools a gang may try, those that were not just interrupted first."""
    fit = [pool for pool in pools if pool.is_open and pool.top >= target and not pool.failing and pool not in holders]
    return sorted(fit, key=lambda pool: pool.interrupted)


def _gang_returns(pools: Sequence[PoolView], home: PoolView, target: int, most: int) -> Placement:
    """A serving gang to a better pool: beside itself when there is room for two, else on a reservation's evidence."""
    better = pools[: pools.index(home)]
    for pool in _candidates(better, (), target):
        if 2 * target <= most and not pool.interrupted:
            return replace(_gang_arrives(pools, home, pool, target, most), starts_return=True)
        if pool.available >= target:
            return replace(_only(pools, pool, target), starts_return=True)
    return _only(pools, home, target)


def _gang_arrives(pools: Sequence[PoolView], whole: PoolView, coming: PoolView, target: int, most: int) -> Placement:
    """A whole gang stays until the other is whole, or until it must go; without room for two the other waits."""
    if whole.drained:
        return _only(pools, coming, target)
    if coming.failing or 2 * target > most:
        return _only(pools, whole, target)
    return Placement({**_zeros(pools), whole.name: target, coming.name: target})


def _only(pools: Sequence[PoolView], home: PoolView, target: int) -> Placement:
    return Placement({**_zeros(pools), home.name: target})


def _nowhere(pools: Sequence[PoolView], target: int) -> Placement:
    return Placement(_zeros(pools), unplaced=target)


def _zeros(pools: Sequence[PoolView]) -> Counts:
    return {pool.name: 0 for pool in pools}
