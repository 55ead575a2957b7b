"""How a fleet's capacity is cut into Auto Scaling groups."""

from __future__ import annotations

import pytest

from neuron_cdk.spec import Capacity, CapacityBlock, OnDemand, Pool, ReservedCapacity, Spot, pools

ONE, TWO, THREE = (f"cr-0123456789abcdef{digit}" for digit in range(3))
SPOT = Spot(kind="spot")
ON_DEMAND = OnDemand(kind="on-demand")


def block(reservation: str) -> CapacityBlock:
    return CapacityBlock(kind="capacity-block", reservation=reservation)


def reserved(reservation: str) -> ReservedCapacity:
    return ReservedCapacity(kind="reservation", reservation=reservation)


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        ([ON_DEMAND], [Pool("on-demand", ("on-demand",))]),
        ([OnDemand(kind="on-demand", base=2)], [Pool("on-demand", ("on-demand",), base=2)]),
        (
            [SPOT, OnDemand(kind="on-demand", base=1)],
            [Pool("spot", ("spot",)), Pool("on-demand", ("on-demand",), base=1)],
        ),
        ([block(ONE), block(TWO)], [Pool("capacity-block", ("capacity-block",), (ONE, TWO))]),
        (
            [reserved(ONE), reserved(TWO), OnDemand(kind="on-demand", base=3)],
            [Pool("reservation", ("reservation", "on-demand"), (ONE, TWO), base=3)],
        ),
        (
            [block(ONE), reserved(TWO), SPOT, ON_DEMAND],
            [
                Pool("capacity-block", ("capacity-block",), (ONE,)),
                Pool("reservation", ("reservation",), (TWO,)),
                Pool("spot", ("spot",)),
                Pool("on-demand", ("on-demand",)),
            ],
        ),
        (
            [reserved(ONE), SPOT, reserved(TWO), block(THREE), ON_DEMAND],
            [
                Pool("reservation", ("reservation",), (ONE,)),
                Pool("spot", ("spot",)),
                Pool("reservation-2", ("reservation",), (TWO,)),
                Pool("capacity-block", ("capacity-block",), (THREE,)),
                Pool("on-demand", ("on-demand",)),
            ],
        ),
        (
            [ON_DEMAND, reserved(ONE)],
            [Pool("on-demand", ("on-demand",)), Pool("reservation", ("reservation",), (ONE,))],
        ),
    ],
    ids=lambda value: (
        "-".join(entry.kind for entry in value)
        if isinstance(value[0], CapacityBlock | ReservedCapacity | Spot | OnDemand)
        else ""
    ),
)
def test_capacity_is_cut_where_one_group_cannot_fall_back(capacity: list[Capacity], expected: list[Pool]) -> None:
    assert list(pools(capacity)) == expected
