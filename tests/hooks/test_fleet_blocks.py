"""The controller and capacity blocks: their beginning and their end."""

from __future__ import annotations

import pytest

from tests.hooks.controlled_fleet import BLOCK, Fleet


def test_a_blocks_end_is_known_from_ec2s_warning_alone(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        {"name": "capacity-block", "kind": "capacity-block", "group": "g-spot", "base": 0, "reservations": [BLOCK]},
        {"name": "on-demand", "kind": "on-demand", "group": "g-od", "base": 0, "reservations": []},
    ]
    fleet.start(monkeypatch, pools=pools)
    fleet.tick()
    fleet.aws.groups["g-spot"].run(2)
    fleet.event("Capacity Block Reservation Expiration Warning", {"capacity-reservation-id": "cr-of-somebody-else"})
    assert fleet.sizes() == {"g-spot": 2, "g-od": 0}
    fleet.event("Capacity Block Reservation Expiration Warning", {"capacity-reservation-id": BLOCK})
    assert fleet.sizes() == {"g-spot": 2, "g-od": 2}, "make before break"
    fleet.tick(5 * 60)
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}, "35 minutes before the end, whatever serves"


def test_a_block_that_has_not_begun_is_not_tried(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        {"name": "capacity-block", "kind": "capacity-block", "group": "g-spot", "base": 0, "reservations": [BLOCK]},
        {"name": "on-demand", "kind": "on-demand", "group": "g-od", "base": 0, "reservations": []},
    ]
    fleet.start(monkeypatch, pools=pools, max=2)
    block = {"State": "scheduled", "TotalInstanceCount": 2, "AvailableInstanceCount": 0}
    fleet.aws.reservations[BLOCK] = block
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 0, "g-od": 2}
    fleet.aws.groups["g-od"].run(2)
    fleet.aws.reservations[BLOCK] = {**block, "State": "active", "AvailableInstanceCount": 2}
    fleet.tick()
    assert fleet.sizes() == {"g-spot": 1, "g-od": 1}, "without room: one ends for one that is sure to start"


def test_a_group_that_scales_itself_is_left_alone_until_its_block_ends(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = [
        {"name": "capacity-block", "kind": "capacity-block", "group": "g-spot", "base": 0, "reservations": [BLOCK]}
    ]
    fleet.start(monkeypatch, pools=pools, owns_size=False)
    fleet.aws.groups["g-spot"].desired = 5
    fleet.tick()
    assert fleet.aws.set == []
    fleet.event("Capacity Block Expiration Warning", {"capacity-reservation-id": BLOCK})
    assert fleet.sizes()["g-spot"] == 0
