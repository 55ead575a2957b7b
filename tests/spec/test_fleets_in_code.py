"""A fleet made in code is refused for what a file is refused for, in the same words."""

from __future__ import annotations

import pytest

from neuron_cdk.spec import (
    CapacityBlock,
    Compile,
    Efa,
    Fleet,
    OnDemand,
    Serving,
    Size,
    Spot,
    Surroundings,
    WarmPool,
    fleet_problems,
    require_possible,
)


def test_a_refusal_says_code_field_and_what_to_do() -> None:
    fleet = Fleet(
        purpose="training",
        instance_types=("trn1n.32xlarge",),
        size=Size(min=0, max=4),
        capacity=(CapacityBlock(kind="capacity-block", reservation="cr-0123456789abcdef0"),),
        warm_pool=WarmPool(size=1),
    )

    with pytest.raises(ValueError, match="NCDK") as refusal:
        require_possible(fleet)

    assert str(refusal.value).splitlines() == [
        "NCDK-CAPACITY-002 capacity[0].kind: trn1n.32xlarge is not sold as capacity-block; "
        "allowed: on-demand, spot; do: remove the capacity-block entry, or take another type",
        "NCDK-WARM-002 warm_pool: only on-demand instances can wait stopped, and the fleet has capacity-block; "
        "allowed: capacity: [{kind: on-demand}]; do: remove warm_pool, or all capacity but on-demand",
        "NCDK-WARM-003 warm_pool: a training fleet starts as a whole, and a part that waits does not start it; "
        "allowed: a warm pool for inference; do: remove warm_pool",
    ]


def test_nothing_is_said_about_surroundings_that_are_not_known() -> None:
    fleet = Fleet(
        purpose="inference",
        instance_types=("inf2.xlarge",),
        size=Size(min=1, max=4),
        model="m",
        serving=Serving(
            certificate="arn:aws:acm:eu-west-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
        ),
    )

    assert list(fleet_problems(fleet)) == []


def test_warnings_do_not_stop_a_fleet_in_code() -> None:
    fleet = Fleet(
        purpose="training",
        instance_types=("trn1.32xlarge",),
        size=Size(min=0, max=4),
        efa=Efa(layout="efa"),
        capacity=(Spot(kind="spot"), OnDemand(kind="on-demand")),
    )

    require_possible(fleet)

    assert [problem.code for problem in fleet_problems(fleet)] == ["NCDK-CAPACITY-010"]


def test_a_model_for_another_chip_is_refused_in_code() -> None:
    fleet = Fleet(purpose="inference", instance_types=("trn1.2xlarge",), size=Size(min=1, max=4), model="m")

    with pytest.raises(ValueError, match=r"NCDK-TYPE-008 instance_types\[0\]: model m is compiled for inf2"):
        require_possible(fleet, Surroundings(model=Compile(engine="torch-neuronx", target="inf2")))
