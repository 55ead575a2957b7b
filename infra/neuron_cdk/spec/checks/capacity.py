"""What a fleet's instances are bought as: that it is sold, in a sensible order, and lasts."""

from __future__ import annotations

from collections.abc import Iterator

from ..deployment import CapacityBlock, Deployment, Fleet, OnDemand, ReservedCapacity
from ..findings import Problem
from ..hosts import instance
from ..pools import pools
from ..source import Pointer
from .common import Surroundings, efa_layout

_RESERVED = (ReservedCapacity, CapacityBlock)


def capacity_is_sold(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    for index, capacity in enumerate(fleet.capacity):
        kind = "on-demand" if isinstance(capacity, ReservedCapacity) else capacity.kind
        for host in map(instance, fleet.instance_types):
            if host and kind not in host.purchase:
                yield Problem(
                    "NCDK-CAPACITY-002",
                    ("capacity", index, "kind"),
                    f"{host.name} is not sold as {kind}",
                    ", ".join(sorted(host.purchase)),
                    f"remove the {kind} entry, or take another type",
                )


def capacity_is_listed_once(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    for index, capacity in enumerate(fleet.capacity):
        before = fleet.capacity[:index]
        at: Pointer = ("capacity", index)
        if capacity in before:
            yield Problem("NCDK-FIELD-008", at, "this is in the list already", fix="remove it")
        elif isinstance(capacity, OnDemand) and any(isinstance(other, OnDemand) for other in before):
            yield Problem(
                "NCDK-CAPACITY-004",
                (*at, "kind"),
                "the fleet has on-demand capacity already, and that has no end",
                "one on-demand entry",
                "keep the one at the place where on-demand is to be the next choice",
            )
        elif isinstance(capacity, _RESERVED) and any(
            isinstance(other, _RESERVED) and other.reservation == capacity.reservation for other in before
        ):
            yield Problem(
                "NCDK-CAPACITY-006",
                (*at, "reservation"),
                "this reservation is in the list already, as another kind",
                "one entry a reservation",
                "look in EC2 whether it is a capacity block or an on-demand reservation, and keep that kind",
            )


def base_is_possible(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    """``base`` keeps the first instances on on-demand; that needs a choice, and a fleet that may be divided."""
    for index, capacity in enumerate(fleet.capacity):
        if not isinstance(capacity, OnDemand) or not capacity.base:
            continue
        at: Pointer = ("capacity", index, "base")
        if capacity.base > fleet.size.max:
            yield Problem("NCDK-CAPACITY-003", at, "base is above the fleet's max", f"0 to {fleet.size.max}")
        if fleet.purpose == "training":
            yield Problem(
                "NCDK-CAPACITY-005",
                at,
                "a training fleet is whole in one kind of capacity, so no part of it stays on on-demand",
                fix="remove base",
            )
        elif pools(fleet.capacity)[0].base:
            yield Problem(
                "NCDK-CAPACITY-007",
                at,
                "base changes nothing: this is what the fleet turns to first anyway",
                fix="remove base, or list what you would rather have before on-demand",
            )


def paid_capacity_comes_first(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    by_the_hour = next((entry.kind for entry in fleet.capacity if not isinstance(entry, _RESERVED)), None)
    first = next((index for index, entry in enumerate(fleet.capacity) if entry.kind == by_the_hour), 0)
    for index, entry in enumerate(fleet.capacity):
        if isinstance(entry, _RESERVED) and by_the_hour and index > first:
            yield Problem(
                "NCDK-CAPACITY-008",
                ("capacity", index, "kind"),
                f"this is paid for already, and stays empty for as long as {by_the_hour} can be had",
                fix=f"list it before {by_the_hour}",
            )


def capacity_lasts(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    if fleet.size.min and all(isinstance(entry, CapacityBlock) for entry in fleet.capacity):
        yield Problem(
            "NCDK-CAPACITY-009",
            ("size", "min"),
            f"a capacity block ends, and nothing else in the list holds {fleet.size.min} instances after it",
            "0, or more capacity behind the blocks",
            "set min to 0, or add {kind: on-demand}",
        )


def gangs_are_not_interrupted(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    for index, entry in enumerate(fleet.capacity):
        if entry.kind == "spot" and fleet.purpose == "training" and fleet.size.max > 1:
            yield Problem(
                "NCDK-CAPACITY-010",
                ("capacity", index, "kind"),
                "one interrupted spot instance stops the job of all, and the whole fleet moves",
                fix="write checkpoints often, or leave spot to inference",
            )


def reserved_zone_is_known(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    """A reservation is in one zone. Auto Scaling finds it among several; an EFA fleet has only one, and so has a block.

    Which zone it is, only the account knows: ``doctor`` asks.
    """
    if fleet.zone:
        return
    for index, entry in enumerate(fleet.capacity):
        if isinstance(entry, CapacityBlock) or (isinstance(entry, ReservedCapacity) and efa_layout(fleet) != "none"):
            yield Problem(
                "NCDK-CAPACITY-011",
                ("capacity", index, "reservation"),
                "reserved capacity is in one zone, and the fleet does not say that it lives there",
                fix="add zone: with the zone id that EC2 shows for the reservation",
            )
            return


def full_fleets_cannot_move_back(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    """The fleet returns to spot or on-demand by starting there first, which needs room below max."""
    preferred = [kind for pool in pools(fleet.capacity)[:-1] for kind in pool.kinds]
    needs = fleet.size.min if fleet.purpose == "training" else 1
    kind = next((kind for kind in preferred if kind in ("spot", "on-demand")), None)
    if kind and fleet.size.min > 0 and fleet.size.max - fleet.size.min < needs:
        yield Problem(
            "NCDK-CAPACITY-013",
            ("size", "max"),
            f"once moved on from {kind}, a fleet this full has no room to try it again, and stays where it is",
            f"{fleet.size.min + needs} or more to move back",
        )


def reservations_have_one_fleet(deployment: Deployment) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, fleet in deployment.fleets.items():
        for index, entry in enumerate(fleet.capacity):
            if isinstance(entry, _RESERVED) and owner.setdefault(entry.reservation, name) != name:
                yield Problem(
                    "NCDK-CAPACITY-012",
                    ("fleets", name, "capacity", index, "reservation"),
                    f"fleet {owner[entry.reservation]} draws on this reservation too: whichever asks first has it",
                    fix="split the reservation, or let one fleet have it",
                )
