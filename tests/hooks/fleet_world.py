"""A world for a fleet's controller: pools whose capacity comes and goes, instances that take minutes to boot and die,
events that come late, twice and in any order, and a controller that is killed between deciding and acting.

One step is a minute. A group acts as EC2 Auto Scaling does: it launches up to its desired capacity or records why it
could not, and ends what is above it, in the worst order for the controller: what serves first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from neuron_hooks.fleet import capacity, events, state
from neuron_hooks.fleet import seen as fleet_seen
from neuron_hooks.fleet import settings as fleet_settings

NO_CAPACITY = (
    "Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity. Launching EC2 instance failed."
)
BAD_IMAGE = "The image id '[ami-0]' does not exist. Launching EC2 instance failed."
START = 1_800_000_000


def pool(name: str, *, base: int = 0, reservations: tuple[str, ...] = ()) -> fleet_settings.Pool:
    kind = name.rsplit("-", 1)[0] if name[-1].isdigit() else name
    return fleet_settings.Pool(name, kind, f"group-{name}", base, reservations)


def fleet(*pools: fleet_settings.Pool, **more: Any) -> fleet_settings.Fleet:
    """A fleet of pools in order of preference; 0 to 8 instances, 4 of them wanted, ten minutes' hysteresis."""
    fields = {
        "name": "test/Fleet",
        "min": 0,
        "max": 8,
        "start": 4,
        "gang": False,
        "owns_size": True,
        "return_after_s": 600,
        "scaling": None,
        "refresh": None,
    }
    return fleet_settings.Fleet(pools=pools, **{**fields, **more})


def moment(at: int) -> str:
    """A time as EventBridge writes it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Machine:
    id: str
    serves_at: int
    dies_at: int | None = None


@dataclass
class Group:
    """A group and the capacity behind it: how many instances its pool would hold."""

    name: str
    holds: int
    desired: int = 0
    broken: bool = False
    machines: list[Machine] = field(default_factory=list)
    launches: list[fleet_seen.Launch] = field(default_factory=list)


@dataclass
class Step:
    """One run of the controller, for checks: the state before it with what it learned, what it saw, what it decided."""

    before: state.State
    seen: fleet_seen.Seen
    decision: capacity.Decision

    @property
    def after(self) -> state.State:
        return self.decision.state

    @property
    def orders(self) -> dict[str, int]:
        return dict(self.decision.orders)


class World:
    """
    :param boot: minutes from a launch to service.
    :param chaos: where delays, doubles and kills come from; ``None`` for events that come at once, and once.
    :param check: called with every run of the controller.
    """

    def __init__(
        self,
        settings: fleet_settings.Fleet,
        holds: dict[str, int],
        *,
        boot: int = 3,
        chaos: random.Random | None = None,
        check: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self.fleet, self.boot, self.chaos, self.check = settings, boot, chaos, check
        self.now = START
        self.groups = {one.name: Group(one.name, holds[one.name]) for one in settings.pools}
        self.block_end: dict[str, int | None] = {}
        self.active: dict[str, bool] = {id: True for one in settings.pools for id in one.reservations}
        self.state = state.fresh(settings, self.seen(), self.now)
        self.mail: list[tuple[int, dict[str, Any]]] = []
        self.steps: list[Step] = []
        self._count = 0

    # -- What happens ------------------------------------------------------------------------------------------------

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self.now += 60
            self._age()
            for group in self.groups.values():
                self._scale(group)
            self._deliver()
            self.control({})
            for group in self.groups.values():
                self._scale(group)

    def hold(self, name: str, count: int) -> None:
        """The pool's capacity becomes this; what runs there stays, and with it the size of a reservation."""
        group = self.groups[name]
        group.holds = max(count, len(group.machines)) if self._pool(name).reservations else count

    def kill(self, name: str) -> None:
        """An instance dies."""
        if self.groups[name].machines:
            self.groups[name].machines.pop(0)

    def interrupt(self, name: str) -> None:
        """EC2 announces that it takes an instance in two minutes, and the capacity with it."""
        group = self.groups[name]
        healthy = [machine for machine in group.machines if machine.dies_at is None]
        if healthy:
            healthy[0].dies_at = self.now + 120
            group.holds = max(0, group.holds - 1)
            self._send(events.INTERRUPTION, {"instance-id": healthy[0].id})

    def retarget(self, target: int) -> None:
        self.state = replace(self.state, target=min(target, self.fleet.max))

    def _age(self) -> None:
        for group in self.groups.values():
            group.machines = [one for one in group.machines if one.dies_at is None or one.dies_at > self.now]
            ends = [
                self.block_end.get(id) for one in self.fleet.pools if one.name == group.name for id in one.reservations
            ]
            if any(end is not None and self.now >= end - 1800 for end in ends):
                group.machines, group.holds = [], 0

    def _scale(self, group: Group) -> None:
        while len(group.machines) > group.desired:
            serving_first = sorted(group.machines, key=lambda one: one.serves_at)
            group.machines.remove(serving_first[0])
        while len(group.machines) < group.desired:
            if group.broken or len(group.machines) >= group.holds:
                message = BAD_IMAGE if group.broken else NO_CAPACITY
                group.launches.append(fleet_seen.Launch(self.now, "Failed", message))
                detail = {"AutoScalingGroupName": f"group-{group.name}", "StatusMessage": message}
                self._send(events.LAUNCH_UNSUCCESSFUL, detail)
                break
            self._count += 1
            group.machines.append(Machine(f"i-{self._count}", self.now + 60 * self.boot))
            group.launches.append(fleet_seen.Launch(self.now, "Successful", ""))
        del group.launches[:-5]

    # -- The controller ----------------------------------------------------------------------------------------------

    def control(self, event: dict[str, Any]) -> None:
        """One run. When it is killed, its state is written and nothing is done."""
        before = events.learn(self.fleet, self.state, self.seen(), event, events.time_of(event) or self.now)
        decision = capacity.decide(self.fleet, before, self.seen())
        step = Step(before, self.seen(), decision)
        self.check(step)
        self.steps.append(step)
        self.state = decision.state
        if self.chaos is None or self.chaos.random() > 0.1:
            for name, count in decision.orders.items():
                self.groups[name].desired = count

    def seen(self) -> fleet_seen.Seen:
        return fleet_seen.Seen(
            groups={
                name: fleet_seen.Group(
                    desired=group.desired,
                    least=0,
                    most=self.fleet.max,
                    instances=tuple(fleet_seen.Instance(one.id, one.serves_at <= self.now) for one in group.machines),
                    launches=tuple(group.launches),
                )
                for name, group in self.groups.items()
            },
            reservations={
                id: fleet_seen.Reservation(
                    active=self.active[id],
                    total=group.holds,
                    available=max(0, group.holds - len(group.machines)),
                    end=self.block_end.get(id),
                )
                for one in self.fleet.pools
                for id in one.reservations
                if (group := self.groups[one.name])
            },
        )

    def _send(self, kind: str, detail: dict[str, Any]) -> None:
        event = {"detail-type": kind, "time": moment(self.now), "detail": detail}
        copies = 1 if self.chaos is None else self.chaos.choice((1, 1, 2))
        for _ in range(copies):
            self.mail.append((self.now + (0 if self.chaos is None else 60 * self.chaos.randrange(6)), event))

    def _deliver(self) -> None:
        due = [event for at, event in self.mail if at <= self.now]
        self.mail = [(at, event) for at, event in self.mail if at > self.now]
        if self.chaos is not None:
            self.chaos.shuffle(due)
        for event in due:
            self.control(event)

    # -- What is there -----------------------------------------------------------------------------------------------

    def _pool(self, name: str) -> fleet_settings.Pool:
        return next(one for one in self.fleet.pools if one.name == name)

    def serving(self) -> dict[str, int]:
        return {
            name: sum(one.serves_at <= self.now and one.dies_at is None for one in group.machines)
            for name, group in self.groups.items()
        }

    def desired(self) -> dict[str, int]:
        return {name: group.desired for name, group in self.groups.items()}

    def moves(self) -> list[capacity.Move]:
        return [move for step in self.steps for move in step.decision.moves]
