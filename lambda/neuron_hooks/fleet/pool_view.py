"""What one pool can hold now, from what was asked of it, what is seen there and what was learned. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .seen import Group, Reservation, Seen
from .settings import Fleet, Pool
from .state import State

# A launch that failed in one zone, or for one type, often succeeds in the next within seconds: a pool is given this
# long before its shortage is believed.
SETTLE_S = 60
# EC2 ends a block's instances from 30 minutes before the block's end. A block is closed 45 minutes before it; what runs
# there stays while others start, but 35 minutes before the end it is drained in any case.
CLOSE_BEFORE_END_S = 45 * 60
DRAIN_BEFORE_END_S = 35 * 60


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool at one moment.

    :param desired: what it was last asked for.
    :param present: instances that are there, on their way up or in service; ``alive`` those EC2 has not announced to
        take; ``serving`` those in service.
    :param top: how many it can hold at all: a block's size, else the fleet's most; 0 when it is closed.
    :param short: no capacity, and the pause is not over; ``settled`` when that is believed.
    :param interrupted: it lost an instance to a spot interruption, and the pause is not over.
    :param failing: launches fail for a reason that another pool would share.
    :param closed: its reservations end soon or have ended; ``drained`` when what is left must go.
    :param available: places that its active reservations are known to have free.
    """

    pool: Pool
    desired: int
    present: int
    alive: int
    serving: int
    top: int
    short: bool
    settled: bool
    interrupted: bool
    failing: bool
    closed: bool
    drained: bool
    available: int

    @property
    def name(self) -> str:
        return self.pool.name

    @property
    def running(self) -> int:
        """Instances that are there and were asked for: what lowering the pool further would end."""
        return min(self.desired, self.present)

    @property
    def sure(self) -> int:
        """Instances that serve and go on serving: a group that ends some ends, at worst, those in service."""
        return max(0, self.serving - max(0, self.present - self.desired))

    @property
    def cap(self) -> int:
        """The most the pool may be asked for now. One that is short keeps what it has, and is asked for no more."""
        if self.short:
            return min(self.top, self.alive if self.settled else max(self.alive, self.desired))
        return self.top

    @property
    def wary_cap(self) -> int:
        """``cap``, but an interrupted pool is asked for no more than it has: for as long as others have room."""
        return min(self.cap, self.alive) if self.interrupted else self.cap

    @property
    def is_open(self) -> bool:
        """Whether it may be tried."""
        return not (self.closed or self.short)


def view(fleet: Fleet, state: State, seen: Seen) -> tuple[PoolView, ...]:
    """The fleet's pools in order of preference."""
    return tuple(_view(fleet, pool, state, seen.groups[pool.name], seen.reservations) for pool in fleet.pools)


def _view(fleet: Fleet, pool: Pool, state: State, group: Group, reservations: Mapping[str, Reservation]) -> PoolView:
    now, pause = state.now, fleet.return_after_s
    alive = [one for one in group.instances if one.id not in state.doomed]
    shortage = state.short.get(pool.name)
    short = shortage is not None and now < shortage.at + pause
    known = {id: found for id in pool.reservations if (found := _known(state, id, reservations)) is not None}
    all_known = pool.is_block and len(known) == len(pool.reservations)
    usable = [one for one in known.values() if _lasts(one, now, CLOSE_BEFORE_END_S if pool.is_block else 0)]
    return PoolView(
        pool=pool,
        desired=state.desired[pool.name],
        present=len(group.instances),
        alive=len(alive),
        serving=sum(one.serving for one in alive),
        top=min(fleet.max, sum(one.total for one in usable)) if all_known else fleet.max,
        short=short,
        settled=short and shortage is not None and now >= shortage.since + SETTLE_S,
        interrupted=_within(state.interrupted.get(pool.name), now, pause),
        failing=_within(state.failing.get(pool.name), now, pause),
        closed=all_known and not usable,
        drained=all_known and not any(_lasts(one, now, DRAIN_BEFORE_END_S) for one in known.values()),
        available=sum(one.available for one in usable),
    )


def _known(state: State, reservation: str, reservations: Mapping[str, Reservation]) -> Reservation | None:
    """A reservation as EC2 describes it, or as its warning told when it does not."""
    if reservation in reservations:
        return reservations[reservation]
    end = state.block_ends.get(reservation)
    return None if end is None else Reservation(active=True, total=0, available=0, end=end)


def _lasts(reservation: Reservation, now: int, seconds: int) -> bool:
    return reservation.active and (reservation.end is None or now < reservation.end - seconds)


def _within(at: int | None, now: int, seconds: int) -> bool:
    return at is not None and now < at + seconds
