"""What happens to a fleet's instances over time: waiting, replacement, age, the end."""

from __future__ import annotations

from collections.abc import Iterator

from ..deployment import Fleet
from ..findings import Problem
from ..hosts import instance
from .common import Surroundings

# CloudFormation waits an hour for a custom resource; the controller answers five minutes before.
_WATCHED_MINUTES = 55
_SPOT_NOTICE_MINUTES = 2


def warm_pools_are_possible(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    """EC2 Auto Scaling keeps warm pools only for one type bought on demand, and only stopped instances cost less."""
    if fleet.warm_pool is None:
        return
    if len(fleet.instance_types) > 1:
        yield Problem(
            "NCDK-WARM-001",
            ("warm_pool",),
            f"a warm pool holds instances of one type, and the fleet has {len(fleet.instance_types)}",
            "one entry in instance_types",
            "remove warm_pool, or keep one type",
        )
    if any(entry.kind != "on-demand" for entry in fleet.capacity):
        kinds = ", ".join(dict.fromkeys(entry.kind for entry in fleet.capacity))
        yield Problem(
            "NCDK-WARM-002",
            ("warm_pool",),
            f"only on-demand instances can wait stopped, and the fleet has {kinds}",
            "capacity: [{kind: on-demand}]",
            "remove warm_pool, or all capacity but on-demand",
        )
    if fleet.purpose == "training":
        yield Problem(
            "NCDK-WARM-003",
            ("warm_pool",),
            "a training fleet starts as a whole, and a part that waits does not start it",
            "a warm pool for inference",
            "remove warm_pool",
        )
    if fleet.warm_pool.size > fleet.size.max:
        yield Problem(
            "NCDK-WARM-004",
            ("warm_pool", "size"),
            f"the fleet never calls for more than its max of {fleet.size.max}",
            f"1 to {fleet.size.max}",
        )
    host = instance(fleet.instance_types[0])
    if host and host.local_disk_gb:
        yield Problem(
            "NCDK-WARM-005",
            ("warm_pool",),
            f"{host.name} loses its {host.local_disk_gb:,} GB of local disks when it stops, and keeps its root volume",
            fix="keep what the model needs on the root volume",
        )


def refreshes_are_possible(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    if fleet.refresh is None:
        return
    if fleet.purpose == "training":
        yield Problem(
            "NCDK-REFRESH-001",
            ("refresh",),
            "a training fleet is not replaced under its job: its next instances have what is new",
            "refresh for inference",
            "remove refresh",
        )
    elif fleet.refresh.min_healthy_percent == 100 and fleet.size.min == fleet.size.max > 0:
        yield Problem(
            "NCDK-REFRESH-003",
            ("refresh", "min_healthy_percent"),
            f"with all of {fleet.size.max} in service, a new instance has no room below the fleet's max",
            "0 to 99; 100 with max above min",
            "raise max by one, or let one instance go first",
        )
    if fleet.managed_by == "pipeline":  # a release takes the time it needs: NCDK-RELEASE-003
        return
    pauses = len(fleet.refresh.checkpoints) * fleet.refresh.bake_minutes
    if pauses > _WATCHED_MINUTES:
        yield Problem(
            "NCDK-REFRESH-004",
            ("refresh", "bake_minutes"),
            f"its pauses alone are {pauses} minutes; a deploy waits {_WATCHED_MINUTES} and takes nothing back later",
            f"checkpoints times bake_minutes at most {_WATCHED_MINUTES}, less the time the instances take",
            "fewer checkpoints, or shorter pauses",
        )


def lifetimes_are_possible(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    if fleet.max_lifetime_days is None:
        return
    if fleet.purpose == "training":
        yield Problem(
            "NCDK-LIFETIME-001",
            ("max_lifetime_days",),
            "a training fleet loses a member, and so its job, whenever an instance comes of age",
            "max_lifetime_days for inference",
            "remove max_lifetime_days",
        )
    elif any(entry.kind == "capacity-block" for entry in fleet.capacity):
        yield Problem(
            "NCDK-LIFETIME-002",
            ("max_lifetime_days",),
            "a capacity block takes minutes to give a place back, and the fleet is one short meanwhile",
            fix="remove max_lifetime_days: the block ends anyway",
        )


def spot_leaves_time_to_drain(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    asked = "drain_minutes" in fleet.model_fields_set and fleet.drain_minutes > _SPOT_NOTICE_MINUTES
    if asked and any(entry.kind == "spot" for entry in fleet.capacity):
        yield Problem(
            "NCDK-DRAIN-001",
            ("drain_minutes",),
            f"EC2 takes a spot instance back {_SPOT_NOTICE_MINUTES} minutes after it says so, drained or not",
        )
