"""A day of two fleets, simulated minute by minute: what runs where, what happened, and what the controller did.

The decisions are those of the product: ``neuron_hooks`` learns, scales and decides here as it does in Lambda. The world
around it is small and always the same: groups launch what they are asked for while their pool has room, instances take
minutes to boot, EC2 takes spot instances after its two-minute warning and the instances of a block from half an hour
before its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from neuron_cdk import spec
from neuron_hooks.fleet import capacity, events
from neuron_hooks.fleet import scaling as fleet_scaling
from neuron_hooks.fleet import seen as fleet_seen
from neuron_hooks.fleet import settings as fleet_settings
from neuron_hooks.fleet import state as fleet_state

MIDNIGHT = 1_800_057_600  # of some day, in epoch seconds
MINUTES = 24 * 60
_BEFORE = 60  # minutes simulated before the day begins, for the fleet to have come up
_BOOT = 8  # minutes from a launch to service: boot, driver, artifact, model load
_TOGETHER = 10  # minutes within which moves the same way are told as one
_NOTICE = 2  # minutes from EC2's warning to the end of a spot instance
_BLOCK_CLOSES = 30 * 60  # seconds before a block's end at which EC2 begins to end its instances
_NO_CAPACITY = "Could not launch. InsufficientInstanceCapacity - There is no capacity."


@dataclass(frozen=True)
class Block:
    """A capacity block: how many places, and from which minute of the day to which."""

    id: str
    places: int
    start: int
    end: int


@dataclass(frozen=True)
class Note:
    """Something worth a mark. ``ours``: the controller did it; else it happened to it."""

    minute: int
    text: str
    ours: bool


@dataclass(frozen=True)
class Day:
    """What a fleet's day was. ``serving`` by pool, ``starting``, and the target, a value a minute each."""

    title: str
    serving: Mapping[str, Sequence[int]]
    starting: Sequence[int]
    target: Sequence[int]
    most: int
    notes: Sequence[Note]


@dataclass
class _Instance:
    id: str
    serves_at: int
    ends_at: int | None = None


@dataclass
class _Group:
    desired: int = 0
    instances: list[_Instance] = field(default_factory=list)
    launches: list[fleet_seen.Launch] = field(default_factory=list)


class World:
    """One fleet, its groups, and the markets they buy in; minutes count from midnight.

    :param spot: how many spot instances there can be, from which minute on.
    :param load: what there is to do, in instances that do nothing else, by hour; None for a fleet that follows nothing.
    """

    def __init__(
        self,
        fleet: spec.Fleet,
        *,
        blocks: Sequence[Block] = (),
        spot: Sequence[tuple[int, int]] = (),
        load: Sequence[float] | None = None,
    ) -> None:
        self.fleet = _settings(fleet)
        self._blocks, self._spot, self._load = blocks, spot, load
        self._groups = {pool.name: _Group() for pool in self.fleet.pools}
        self._minute = -_BEFORE
        self._state = fleet_state.fresh(self.fleet, self._seen(), self._now())
        self._utilization: list[float | None] = []
        self._launched = 0
        self._events: list[Note] = []
        self._moves: list[tuple[int, capacity.Move]] = []

    def day(self, title: str) -> Day:
        serving: dict[str, list[int]] = {pool: [] for pool in self._groups}
        starting, target = list[int](), list[int]()
        for _ in range(_BEFORE + MINUTES):
            self._pass_a_minute()
            if self._minute >= 0:
                for pool, group in self._groups.items():
                    serving[pool].append(sum(one.serves_at <= self._minute for one in group.instances))
                starting.append(
                    sum(one.serves_at > self._minute for group in self._groups.values() for one in group.instances)
                )
                target.append(self._state.target)
            self._minute += 1
        return Day(title, serving, starting, target, self.fleet.max, [*self._noted()])

    def _noted(self) -> Iterator[Note]:
        """The day's notes in order. Moves the same way, a few minutes apart, are one."""
        runs: list[list[tuple[int, capacity.Move]]] = []
        for minute, move in self._moves:
            same = runs and (runs[-1][-1][1].origins, runs[-1][-1][1].destinations) == (move.origins, move.destinations)
            if same and minute - runs[-1][-1][0] < _TOGETHER:
                runs[-1].append((minute, move))
            else:
                runs.append([(minute, move)])
        notes = [*self._events, *(Note(run[0][0], _told([move for _, move in run]), ours=True) for run in runs)]
        yield from sorted((note for note in notes if note.minute >= 0), key=lambda note: note.minute)

    # -- The world -----------------------------------------------------------------------------------------------------

    def _pass_a_minute(self) -> None:
        self._end()
        news = self._market()
        self._launch()
        for event in news:
            self._run(event)
        self._run({"detail-type": "Scheduled Event", **self._time()})
        self._launch()
        self._measure()

    def _market(self) -> list[dict[str, Any]]:
        """Changes of what there is, and EC2's warnings to the instances there is no room for, one a minute."""
        for since, room in self._spot:
            if since == self._minute:
                self._note(f"spot has room for {room}" if room < self.fleet.max else "spot has room again")
        for block in self._blocks:
            if block.start == self._minute:
                self._note(f"a capacity block of {block.places} begins")
            if block.end == self._minute:
                self._note("the capacity block ends")
        group = self._groups.get("spot")
        taken = [one for one in group.instances if one.ends_at is None] if group else []
        if len(taken) <= self._room("spot"):
            return []
        taken[0].ends_at = self._minute + _NOTICE
        detail = {"instance-id": taken[0].id, "instance-action": "terminate"}
        return [{"detail-type": events.INTERRUPTION, "detail": detail, **self._time()}]

    def _end(self) -> None:
        """What EC2 takes, when it has said so."""
        for pool, group in self._groups.items():
            group.instances = [one for one in group.instances if one.ends_at is None or one.ends_at > self._minute]
            if pool == "capacity-block":
                del group.instances[self._room(pool) :]

    def _room(self, pool: str) -> int:
        if pool == "spot":
            return next((room for since, room in reversed(self._spot) if since <= self._minute), self.fleet.max)
        if pool == "capacity-block":
            return sum(block.places for block in self._blocks if self._is_open(block, _BLOCK_CLOSES))
        return self.fleet.max

    def _is_open(self, block: Block, before_end: int = 0) -> bool:
        return block.start <= self._minute < block.end - before_end // 60

    def _launch(self) -> None:
        """Groups do what they were asked: end what is too many, the oldest first; launch, or say why they cannot."""
        for pool, group in self._groups.items():
            del group.instances[: max(0, len(group.instances) - group.desired)]
            while len(group.instances) < group.desired:
                if len(group.instances) >= self._room(pool):
                    group.launches.append(fleet_seen.Launch(self._now(), "Failed", _NO_CAPACITY))
                    break
                self._launched += 1
                group.instances.append(_Instance(f"i-{self._launched}", self._minute + _BOOT))
                group.launches.append(fleet_seen.Launch(self._now(), "Successful", ""))
            del group.launches[:-5]

    def _measure(self) -> None:
        serving = sum(one.serves_at <= self._minute for group in self._groups.values() for one in group.instances)
        if self._load is not None:
            self._utilization.append(min(100.0, 100 * self._work() / serving) if serving else None)

    def _work(self) -> float:
        """Between the hours, along a line."""
        assert self._load is not None
        hour, rest = divmod(max(0, self._minute), 60)
        return self._load[hour] + (self._load[(hour + 1) % 24] - self._load[hour]) * rest / 60

    # -- The controller ------------------------------------------------------------------------------------------------

    def _run(self, event: Mapping[str, Any]) -> None:
        """As ``neuron_hooks.fleet.controller`` runs, without AWS: look, learn, scale, decide, act."""
        seen = self._seen()
        state = events.learn(self.fleet, self._state, seen, event, self._now())
        if self.fleet.scaling and event["detail-type"] == "Scheduled Event":
            serving = sum(one.serving for group in seen.groups.values() for one in group.instances)
            minutes = self._utilization[-fleet_scaling.MINUTES :]
            state = fleet_scaling.retarget(self.fleet.scaling, state, serving, minutes)
        decision = capacity.decide(self.fleet, state, seen)
        self._state = decision.state
        for pool, count in decision.orders.items():
            self._groups[pool].desired = count
        for move in decision.moves:
            self._moves.append((self._minute, move))

    def _seen(self) -> fleet_seen.Seen:
        return fleet_seen.Seen(
            groups={
                pool: fleet_seen.Group(
                    desired=group.desired,
                    least=0,
                    most=self.fleet.max,
                    instances=tuple(
                        fleet_seen.Instance(one.id, one.serves_at <= self._minute) for one in group.instances
                    ),
                    launches=tuple(group.launches),
                )
                for pool, group in self._groups.items()
            },
            reservations={block.id: self._described(block) for block in self._blocks},
        )

    def _described(self, block: Block) -> fleet_seen.Reservation:
        taken = len(self._groups["capacity-block"].instances) if self._is_open(block) else 0
        return fleet_seen.Reservation(
            active=self._is_open(block),
            total=block.places,
            available=max(0, block.places - taken),
            end=MIDNIGHT + 60 * block.end,
        )

    def _now(self) -> int:
        return MIDNIGHT + 60 * self._minute

    def _time(self) -> dict[str, str]:
        return {"time": f"{datetime.fromtimestamp(self._now(), UTC):%Y-%m-%dT%H:%M:%SZ}"}

    def _note(self, text: str) -> None:
        self._events.append(Note(self._minute, text, ours=False))


def _told(moves: Sequence[capacity.Move]) -> str:
    count, reasons = sum(move.count for move in moves), dict.fromkeys(move.reason for move in moves)
    origins, destinations = (" and ".join(names) for names in (moves[0].origins, moves[0].destinations))
    return f"{count} from {origins} to {destinations}: {', '.join(reasons)}"


def _settings(fleet: spec.Fleet) -> fleet_settings.Fleet:
    """What the stack tells a fleet's controller."""
    spec.require_possible(fleet)
    scaling = fleet.scaling
    return fleet_settings.Fleet(
        name="Fleet",
        pools=tuple(
            fleet_settings.Pool(pool.name, pool.kinds[0], pool.name, pool.base, pool.reservations)
            for pool in spec.pools(fleet.capacity)
        ),
        min=fleet.size.min,
        max=fleet.size.max,
        start=fleet.size.min if fleet.size.desired is None else fleet.size.desired,
        gang=fleet.purpose == "training",
        owns_size=True,
        return_after_s=fleet.return_after_minutes * 60,
        scaling=fleet_settings.Scaling(
            scaling.metric, scaling.target, scaling.scale_in_cooldown_s, scaling.scale_out_cooldown_s, {}
        )
        if scaling
        else None,
        refresh=None,
    )


def _serving() -> Day:
    fleet = spec.Fleet(
        purpose="inference",
        instance_types=("inf2.xlarge", "inf2.8xlarge"),
        size=spec.Size(min=2, max=12),
        capacity=(spec.Spot(kind="spot"), spec.OnDemand(kind="on-demand", base=2)),
        scaling=spec.FleetScaling(metric="neuroncore-utilization", target=60.0),
    )
    load = (1.2, 1, 1, 1, 1, 1.4, 2, 3, 4, 4.8, 5.2, 5.4, 5, 5.2, 5.4, 5.2, 4.8, 4.4, 4, 3.4, 2.8, 2.2, 1.8, 1.4)
    world = World(fleet, load=load, spot=[(10 * 60 + 20, 2), (14 * 60, 12)])
    return world.day("Serving: spot, on-demand with base 2; 2 to 12 instances at 60 % utilization")


def _training() -> Day:
    first, second = "cr-00000000000000001", "cr-00000000000000002"
    block = partial(spec.CapacityBlock, kind="capacity-block")
    fleet = spec.Fleet(
        purpose="training",
        instance_types=("trn1.32xlarge",),
        size=spec.Size(min=0, max=8, desired=8),
        zone="use2-az3",
        capacity=(
            block(reservation=first),
            block(reservation=second),
            spec.Spot(kind="spot"),
            spec.OnDemand(kind="on-demand"),
        ),
    )
    blocks = [Block(first, 8, -_BEFORE, 9 * 60), Block(second, 8, 19 * 60, 48 * 60)]
    world = World(fleet, blocks=blocks, spot=[(13 * 60 + 40, 7)])
    return world.day("Training: two capacity blocks, spot, on-demand; 8 instances, whole or not at all")


DAYS: Sequence[Callable[[], Day]] = (_serving, _training)
